"""The network: Notary servers and registries over HTTPS."""
