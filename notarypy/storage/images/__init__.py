"""notarypy.storage.images."""
