"""Which images a build of a Dockerfile takes, by BuildKit's rules. See README.md; read `stages` first.

It depends on `errors`, `limits` and `images.occurrences` alone; it opens no file and asks nobody.
"""
