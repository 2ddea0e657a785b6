"""Go's `notary` without Go: its words, its tables, its files and its configuration over `notarypy.Client`.

What it is: a program of its own. What it is not: used by anything else here. README.md says what it uses of
the package; read `entry` first.
"""
