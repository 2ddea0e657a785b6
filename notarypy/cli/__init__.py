"""The command line: read the words, call one use case of `Client`, report what came of it.

What it is: one function a command, found by name in the table of `app`, the file to read first. What it
is not: logic of its own. `run` has what every command gets, `text` the words.
"""
