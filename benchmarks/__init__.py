"""How fast notarypy is beside Go notary, docker and skopeo, and beside another commit of itself.

`scripts/bench` runs it; docs/performance.md has the results. What it is not: a test, for it looks at a clock.
"""
