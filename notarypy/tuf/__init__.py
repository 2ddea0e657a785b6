"""The trust core: The Update Framework as Notary v1 uses it.

Pure: no file, socket, clock, environment or randomness in here.
"""
