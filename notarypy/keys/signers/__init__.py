"""notarypy.keys.signers."""
