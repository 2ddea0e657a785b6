"""notarypy.client.metadata."""
