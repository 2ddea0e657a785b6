"""Whole images in files: OCI layouts in directories and archives, and what `docker save` writes.

What it is not: what a manifest means (`notarypy.images`), or moving images (`client.transfer`). Read
`locations` first.
"""
