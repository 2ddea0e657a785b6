"""notarypy.remote.http."""
