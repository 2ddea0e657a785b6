"""Key files as bytes: PEM text (`pem`), the keys in it (`pkcs8`, read it first), their encryption (`pbes`).

What it is not: it opens no file and asks for no passphrase.
"""
