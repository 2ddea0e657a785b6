"""Which images compose files and Kubernetes manifests name. See README.md; read `find` first.

It depends on `errors`, `limits`, `images.occurrences` and the extra PyYAML; it opens no file.
"""
