"""A pure-Python client for Notary v1 / Docker Content Trust."""
