"""notarypy.client.publish."""
