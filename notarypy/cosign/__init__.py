"""Signatures as cosign makes them, as bytes: both forms in which registries keep them.

What it is: payloads, bundles, and the manifests that carry them, made and read. What it is not: registries
(`client.cosign`), private keys (`keys`), or trust by anything else than a key.
"""
