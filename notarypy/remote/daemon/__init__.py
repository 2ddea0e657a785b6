"""notarypy.remote.daemon."""
