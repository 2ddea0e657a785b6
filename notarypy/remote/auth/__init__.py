"""Who we are to a server: where logins are kept, and what answers a challenge.

It sends nothing by itself. Read `tokens` first; `credentials` has the order of places, `dockerconfig` the
files.
"""
