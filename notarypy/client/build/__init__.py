"""notarypy.client.build."""
