"""The way out of Notary: what its verified state becomes elsewhere."""
