"""Who signed what, and when: the past of a repository, from a server's feed of changes and its old files.

Its parts: `oldfiles` the files of then, `past` the states that they make and whether these hold, `events`
what came of it, one after the other.
"""
