"""Image references and the manifests behind them. Pure."""
