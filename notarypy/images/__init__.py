"""References to images, the manifests behind them, and the files that name them. Read `reference` first.

Pure: texts, bytes and values in, values or errors out; what has to be fetched is a parameter.
"""
