"""`notarypy serve` on a socket of this machine, for those who let it verify."""

from __future__ import annotations

import contextlib
import json
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from interop.harness.people import Person


@contextlib.contextmanager
def serving(person: Person, policy: Path, *options: str) -> Iterator[str]:
    """Run a service of somebody's that keeps trust data in memory; return its NOTARYPY_SERVICE."""
    with tempfile.TemporaryDirectory(prefix="s-") as folder:  # the path of a socket is short
        where = f"unix:{folder}/s"
        process = person.start_notarypy("serve", "--listen", where, "--policy", policy, "--memory", *options)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line == f"listening on {where}\n", process.communicate(timeout=30)
            yield where
        finally:
            process.terminate()
            process.communicate(timeout=30)


def pinning(owner: Person, repository: str) -> str:
    """Return the scope of a trust policy for a repository of somebody's, with its root."""
    (result,) = json.loads(owner.notarypy("--json", "inspect", repository).expect(0).stdout)["results"]
    return f'[scope."{repository}"]\nroots.ids = {json.dumps(result["root_keys"])}\n'
