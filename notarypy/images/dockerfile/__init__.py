"""notarypy.images.dockerfile."""
