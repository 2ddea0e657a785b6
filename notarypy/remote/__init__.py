"""The network: Notary servers, registries and the docker daemon; bytes in and out, nothing verified.

Who asks decides whether to believe an answer. Read `notary` first, the simplest user of `http` and `auth`.
"""
