"""Real servers and real clients for the interoperability tests, each started on loopback and stopped again.

1. No mocks: `notary-server`, `notary-signer`, `docker-registry`, Go `notary` and `docker` themselves. What
   those cannot do (lose an answer, tamper, issue tokens) is done by a small server in front or beside.
2. A missing program is a failure that names `scripts/test`, never a skip.
3. Every server writes its log to a file; the tests show the logs when something fails.
"""
