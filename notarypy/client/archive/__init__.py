"""Trust data in one file: written where the Notary server is, and read where it is not.

What it is: the use cases behind `export` and `import`. What it is not: how an archive is read in place of a
server (`client.archived`, `client.session`).
"""
