"""notarypy.remote.registry."""
