"""notarypy.storage.settings."""
