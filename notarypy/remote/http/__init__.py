"""HTTP as this project uses it: one request under one policy, and the libraries that move its bytes.

It knows of no Notary server, registry or login. Read `transport` first, then `adapter`; `messages` has the
values that both agree on.
"""
