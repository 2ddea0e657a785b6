"""Secrets looked for in everything that programs leave behind: output, files, words given to other programs.

Rules:

1. A secret is looked for as it is, and in the forms that programs give it: base64 wherever it begins, hex,
   percent-encoded, in JSON.
2. `watching` has a Python program write down every child's words and every file that it opens for writing,
   wherever those are.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HOOK = """
import os, sys

out = os.open(os.environ["NOTES_OF_CALLS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
WRITING = os.O_WRONLY | os.O_RDWR


def note(event, args):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"):
        os.write(out, f"child {args[:2]!r}\\n".encode(errors="replace"))
    elif event == "open" and isinstance(args[0], str | bytes) and args[2] & WRITING:
        os.write(out, b"file " + os.fsencode(os.path.abspath(args[0])) + b"\\n")
    elif event == "os.rename":
        os.write(out, b"file " + os.fsencode(os.path.abspath(args[1])) + b"\\n")


sys.addaudithook(note)
"""


class Notes:
    """What watched programs wrote down (rule 2)."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def children(self) -> list[str]:
        """Every child: its program and its words."""
        return [line.removeprefix("child ") for line in self._lines() if line.startswith("child ")]

    @property
    def files(self) -> list[Path]:
        """Every file that was opened for writing, or renamed to, and is still there."""
        paths = {Path(line.removeprefix("file ")) for line in self._lines() if line.startswith("file ")}
        return sorted(path for path in paths if path.is_file())

    def _lines(self) -> list[str]:
        return self._file.read_text(errors="surrogateescape").splitlines() if self._file.exists() else []


def watching(folder: Path) -> tuple[dict[str, str], Notes]:
    """Return the environment in which Python programs are watched, and what they write down (rule 2)."""
    site, notes = folder / "site", folder / "notes.txt"
    site.mkdir(parents=True)
    (site / "sitecustomize.py").write_text(_HOOK)
    return {"PYTHONPATH": str(site), "NOTES_OF_CALLS": str(notes)}, Notes(notes)


def forms(secret: str) -> set[bytes]:
    """Return the forms in which a secret may stand in something (rule 1)."""
    data = secret.encode()
    texts = {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], data.hex()}
    found = {text.encode() for text in texts} | {data.hex().upper().encode()}
    for shift in range(3):  # the characters that depend on what stands beside it are cut off
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * shift + data).rstrip(b"=")
            found.add(text[(0, 2, 3)[shift] : len(text) - (1 if (len(data) + shift) % 3 else 0)])
    return found


def found_in(data: bytes, secrets: Iterable[str]) -> Iterator[str]:
    """Yield the secrets that stand in something, in any form."""
    for secret in secrets:
        if any(form in data for form in forms(secret)):
            yield secret


def found_in_files(folders: Iterable[Path], secrets: Iterable[str]) -> list[tuple[Path, str]]:
    """Return each file in folders, or of these paths, that has a secret, with the secret."""
    chosen = list(secrets)
    paths = {path for folder in folders for path in ([folder] if folder.is_file() else folder.rglob("*"))}
    return [
        (path, secret)
        for path in sorted(paths)
        if path.is_file() and not path.is_symlink()
        for secret in found_in(path.read_bytes(), chosen)
    ]
