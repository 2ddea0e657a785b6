"""Kubernetes as documents: what its API server asks and is answered, and what is applied there.

What it is: JSON and YAML in and out, pure. What it is not: a web server (`service`), the reading of files
that name images (`images.workloads`), or a verdict on an image.
"""
