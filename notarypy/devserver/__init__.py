"""A small Notary server and registry for tests and demonstrations. Never for production.

What it is: both services in this process, or over HTTPS. What it is not: used by the client. README.md says
what it uses of the package; read `core` first.
"""
