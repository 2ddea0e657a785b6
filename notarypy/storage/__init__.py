"""What lies on disk besides private keys: the trust directory, settings, and images in files.

Its three parts know nothing of each other. Read `trustdir` first.
"""
