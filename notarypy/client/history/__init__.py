"""Who signed what, and when: the past of a repository, from a server's feed of changes and its old files.

Its parts: `oldfiles` the files of then, `pastroots` and `past` whether they hold, `events`
what came of it, one after the other.
"""
