"""A small Notary server and registry for tests and demonstrations. Never for production."""
