"""The private keys of the trust directory, and what a repository's keys are changed to.

What it is: the calls of `Client.keys`. What it is not: key files (`notarypy.keys`), or who may sign a
repository's tags (`Client.add_signer`). Read `api.py` first.
"""
