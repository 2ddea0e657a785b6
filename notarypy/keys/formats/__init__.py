"""notarypy.keys.formats."""
