"""Who signed what, and when: the past of a repository, from a server's feed of changes and its old files.

Its parts: `feed` what a server says it published, `past` the files of then and whether they hold, `events`
what came of it, one after the other.
"""
