"""Pin and build: the images that a file names are resolved to signed digests, and a builder gets the result.

It is not a builder, nor a reader of files (`images.dockerfile`, `images.workloads`). Read `inputs` first.
"""
