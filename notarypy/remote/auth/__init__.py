"""notarypy.remote.auth."""
