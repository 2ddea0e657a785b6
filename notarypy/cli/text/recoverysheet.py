"""The recovery sheet: one page of HTML about a backup, to be printed and put into a safe.

What it is: what is in the backup, what it takes to use it, and the steps, for somebody who never saw it.
What it is not: a secret. No passphrase is ever on it, and a key only by wish, encrypted as it is there.

Rules:

1. What has to be typed from paper is there as a QR code too, if it is short: the SHA-256 of the file, pins.
2. A code is drawn by the package segno, and is black on white whatever the page's colours are. Without that
   package there are none, and the page says the same.
3. A key is on it as its PEM text, which `key import` reads, if its code can be read from paper.
"""

from __future__ import annotations

from importlib.util import find_spec
from shlex import quote
from typing import TYPE_CHECKING

from notarypy.cli.text import htmlpage
from notarypy.cli.text.htmlpage import code, items, moment, table, text
from notarypy.errors import Advice, BackendMissingError, UsageError
from notarypy.storage.backupfile import on_disk
from notarypy.tuf.roles import signer_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from notarypy.client.backup.contents import BackedUpKey, BackupContents

LONGEST_CODE = 1200
"""Bytes of a code that a telephone reads from paper."""
_MOST_PINS = 3
_STYLE = """
ol li { margin: .3rem 0; } .codes { display: flex; flex-wrap: wrap; gap: 1rem; }
.codes figure { margin: 0; max-width: 22rem; } svg.qr { height: auto; width: 34mm; }
svg.long { height: auto; width: 80mm; } pre { font: .75em ui-monospace, monospace; overflow-x: auto; }
.fill { border-bottom: 1px solid var(--ink); display: block; height: 1.8rem; }
"""


def can_draw() -> bool:
    """Tell whether codes can be drawn (rule 2)."""
    return find_spec("segno") is not None


def require_drawable(keys: Mapping[str, bytes]) -> None:
    """Raise unless keys can be on the page, by their ids (rule 3)."""
    if keys and not can_draw():
        message, advice = "a key on paper needs a QR code", Advice("install-extra", extra="sheet")
        raise BackendMissingError(message, why="the package segno is not installed", advice=advice)
    for keyid, pem in keys.items():
        if len(pem) > LONGEST_CODE:
            why = f"it has {len(pem)} bytes, and a code that can be read from paper {LONGEST_CODE}"
            raise UsageError(
                f"key {keyid[:7]} is too long for a page", why=why, advice=Advice("leave-key-out")
            )


def page(contents: BackupContents, keys: Mapping[str, bytes]) -> Iterator[str]:
    """Yield the page of a backup, with some of its keys as PEM by their ids."""
    name = contents.path.rpartition("/")[2]
    said = f"{code(name)}, made {moment(contents.made)} of {code(contents.trust_dir)}"
    yield htmlpage.opening("Recovery sheet", said, _STYLE)
    yield "<p>With the file and the passphrases, keys and trust in images can be had again on any machine. "
    yield "Keep this page, the file and the passphrases in different places.</p>\n"
    yield f"<p>SHA-256 of the file: {code(contents.sha256)}</p>\n"
    yield from _codes(contents)
    yield from _to_be_filled_in()
    steps = "".join(f"<li>{step}</li>" for step in _steps(contents, name))
    yield f"<h2>To have it again</h2>\n<ol>{steps}</ol>\n"
    yield "<h2>What is in it</h2>\n"
    yield from table("Keys", ("Key", "For", "Where it is"), (_row(key) for key in contents.keys))
    yield from table("Repositories", ("Repository", "Notary server", "Root pins"), _repositories(contents))
    about = [f"settings: {place}" for place in contents.settings]
    about += [
        f"{path}: settings name it; it is in the file, and is not put back" for path in contents.elsewhere
    ]
    yield items([*about, *(f"not in it: {what}" for what in contents.left_out)])
    for keyid, pem in keys.items():
        yield f"<h2>Key {code(keyid)}</h2>\n<p>Encrypted; its passphrase is not on this page. "
        yield f"Save the text as a file, then: {code('notarypy key import FILE')}</p>\n"
        written = "\n".join(map(text, pem.decode().splitlines()))
        drawn = _drawn(pem.decode(), "the key", "long")
        yield f'<div class="codes"><pre>{written}</pre>{drawn}</div>\n'
    yield htmlpage.CLOSING


def _codes(contents: BackupContents) -> Iterator[str]:
    """Yield the codes of what is typed from this page (rule 1)."""
    pins = list(dict.fromkeys(pin for each in contents.repositories for pin in each.root_pins))
    if not can_draw():
        return
    shown = [("SHA-256 of the file", contents.sha256)]
    shown += [(f"root pin {pin[:12]}…", pin) for pin in pins if len(pins) <= _MOST_PINS]
    yield '<div class="codes">'
    for name, value in shown:
        yield f"<figure>{_drawn(value, name)}<figcaption>{text(name)}</figcaption></figure>"
    yield "</div>\n"


def _drawn(value: str, name: str, kind: str = "qr") -> str:
    import segno  # an extra: most people never print this

    made = segno.make_qr(value, error="m")
    return made.svg_inline(border=4, dark="#000", light="#fff", omitsize=True, svgclass=kind, title=name)


def _to_be_filled_in() -> Iterator[str]:
    yield "<dl>"
    for what in (
        "Where copies of the file are",
        "Who knows the passphrases, or where they are (not the passphrases)",
    ):
        yield f'<dt>{text(what)}</dt><dd><span class="fill"></span></dd>'
    yield "</dl>\n"


def _steps(contents: BackupContents, name: str) -> Iterator[str]:
    file = quote(name)
    yield "Install notarypy, and bring the file to the machine."
    yield f"The number above is what this prints: {code(f'sha256sum {file}')}"
    yield f"See what would happen: {code(f'notarypy restore --dry-run {file}')}"
    yield f"Put it back: {code(f'notarypy restore --sha256 {contents.sha256} {file}')}"
    if contents.config not in {None, "config.toml"}:
        config = f"--config ~/.config/notarypy/{quote(str(contents.config))}"
        yield f"Name the configuration in each command: {code(config)}"
    for path in contents.elsewhere:
        unpack = f"tar -xf {file} {quote(on_disk(f'elsewhere{path}'))}"
        yield f"Bring {code(path)}, which the settings name, to its place: {code(unpack)} takes it out"
    for url in contents.servers_to_name:
        yield f"Name the Notary server: {code(f'export DOCKER_CONTENT_TRUST_SERVER={quote(url)}')}"
    if any(key.uri is not None for key in contents.keys):
        yield "Plug in tokens, and log in to the services that have the other keys (the table below)."
    yield f"Look whether all is well: {code('notarypy status REPO')}"
    yield f"Sign: {code('notarypy sign REPO:TAG')}"


def _row(key: BackedUpKey) -> Sequence[str]:
    name = signer_name(key.role) or "no name"
    where = "in the file, under its passphrase" if key.uri is None else f"not in the file: {key.uri}"
    return code(key.keyid), text(f"{name} of {key.gun}" if key.gun else name), text(where)


def _repositories(contents: BackupContents) -> Iterator[Sequence[str]]:
    for each in contents.repositories:
        yield code(each.repository), code(each.server or ""), "".join(map(code, each.root_pins))
