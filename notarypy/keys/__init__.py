"""Private keys: their files, their passphrases, and signing with them.

What it is not: which key a role takes (`client.keys`), or checking signatures (`tuf.envelope`). Read
`keystore` first, then `signers`.
"""
