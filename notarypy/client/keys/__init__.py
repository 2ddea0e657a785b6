"""The private keys of the trust directory, by the words people use for them.

What it is not: key files (`notarypy.keys`), or what a repository's keys are changed to (`client.publish`).
Read `manager` first.
"""
