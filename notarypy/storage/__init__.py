"""What lies on disk besides private keys: the trust directory and the settings."""
