"""Build the site, and check it: what `scripts/site` runs."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.site import checking, contents, staging


def build(target: Path) -> int:
    """Build the site in a folder, which it takes the place of; return the exit code."""
    if target.exists() and any(target.iterdir()) and not (target / "searchindex.js").exists():
        sys.stderr.write(f"site: {target} holds something else than a site\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        pages, made = Path(folder) / "pages", Path(folder) / "site"
        staging.stage(pages)
        if code := build_main(
            ["-q", "-W", "--keep-going", "-b", "html", "-d", f"{folder}/trees", str(pages), str(made)]
        ):
            return code
        for left in (".buildinfo", "objects.inv"):
            (made / left).unlink(missing_ok=True)
        if faults := checking.faults(made.resolve()):
            sys.stderr.write("".join(f"site: {fault}\n" for fault in faults))
            return 1
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made, target)
    return 0


def main() -> int:
    """Build as the command line says."""
    parser = argparse.ArgumentParser(
        prog="scripts/site", description="Build the site of docs/, and check every link."
    )
    usual = contents.ROOT / "build" / "site"
    parser.add_argument(
        "target", metavar="DIR", nargs="?", type=Path, default=usual, help="where; default: build/site"
    )
    target = parser.parse_args().target
    # The same pages are the same bytes, whenever they are built.
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")
    if code := build(target.absolute()):
        return code
    sys.stdout.write(f"{target / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
