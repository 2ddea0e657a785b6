"""A verification service: one long-running verifier, and the ways to ask it.

What it is: kept verification (`verifier`), and what listens for those who ask. What it is not: a judge; an
image is verified by `client.verify`, and metadata by `tuf`.
"""
