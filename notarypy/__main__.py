"""`python -m notarypy`: the same program as `notarypy`."""

from __future__ import annotations

from notarypy.cli.main import main

if __name__ == "__main__":
    main()
