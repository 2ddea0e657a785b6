"""A repository's metadata: fetched, verified, stored, and when it ends.

What it is: the driver of `notarypy.tuf`, and what belongs to one GUN. What it is not: a decision about an
image (`client.verify`), or publishing. Read `repository.py` first, then `refresh.py`.
"""
