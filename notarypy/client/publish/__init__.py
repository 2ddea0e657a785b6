"""Publishing: who may sign, what is signed, and how long it lasts.

What it is: the use cases that change a repository, each an edit for one pipeline. What it is not: signing
keys (`client.keys`), or moving images (`client.transfer`). Read `pipeline.py` first.
"""
