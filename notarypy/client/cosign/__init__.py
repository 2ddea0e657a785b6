"""Signatures as cosign makes them, read from registries and written into them.

What it is: what both directions of the way out share. What it is not: a decision what may be signed, or which
signatures an image needs.
"""
