"""`docker trust` without docker: its words, its outputs and its exit codes over `notarypy.Client`.

What it is: a program of its own, which docker also runs as a plugin. What it is not: used by anything else
here. README.md says what it uses of the package; read `program` first.
"""
