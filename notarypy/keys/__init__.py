"""Private keys: their files, their passphrases, and signing with them.

What it is not: which key a role takes (`client.keys`), or checking signatures (`tuf.signatures`). Read
`keystore` first, then `signers`.
"""
