"""notarypy.client.verify."""
