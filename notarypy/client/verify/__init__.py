"""Reading what is signed: whether an image may run, and who signed what.

What it is: questions about verified metadata. What it is not: the verification of metadata
(`client.metadata`, `tuf.trusted`). Read `image.py` first.
"""
