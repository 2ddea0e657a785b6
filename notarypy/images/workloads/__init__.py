"""notarypy.images.workloads."""
