"""Whole images: moved between files, registries and daemons, resolved to digests, and built.

What it is: the calls of `Client.images`. What it is not: signing what is in a registry already
(`Client.sign`). Read `api.py` first.
"""
