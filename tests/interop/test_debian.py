"""What README.md and docs/installing.md say, typed into an empty Debian 12, without a network."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import notarypy
from docs import pages
from interop.harness import debian
from notarypy.devserver import sample
from support import layouts

if TYPE_CHECKING:
    from pathlib import Path

README = pages.sections(pages.read("README.md"))
PIPX, *OTHERS = next(block.text for block in pages.blocks(README["Install"], "sh")).splitlines()
SESSION = "".join(block.text for block in pages.blocks(README["A first session"], "console"))
SKOPEO = "skopeo copy oci:other docker://"
COMPLETE = """
eval "$(notarypy completion bash)"
COMP_LINE='notarypy veri' COMP_POINT=13 COMP_CWORD=1 COMP_WORDS=(notarypy veri)
_notarypy notarypy
echo "${COMPREPLY[@]}"
"""


@pytest.fixture
def machine(tmp_path: Path) -> debian.Debian:
    return debian.Debian(tmp_path / "home")


def test_nothing_on_it_compiles() -> None:
    programs = {path.name for name in ("bin", "sbin") for path in (debian.ROOT / "usr" / name).iterdir()}
    assert "python3" in programs
    assert not programs & {"cc", "gcc", "c++", "ld", "make", "rustc", "cargo", "pip", "pip3"}


@pytest.mark.parametrize("line", OTHERS)
def test_each_line_of_the_readme_installs(line: str, machine: debian.Debian) -> None:
    done = machine.run(f"{{ {line}; }} >&2\nnotarypy --version\n{COMPLETE}").expect(0)
    assert done.stdout == f"notarypy {notarypy.__version__}\nverify\n"


def commands(session: str) -> list[tuple[str, str]]:
    """Return what is typed in a session, and what is answered."""
    typed = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)
    return [
        (line, answer) for line, answer in typed if not line.startswith("export DOCKER_CONTENT_TRUST_SERVER")
    ]


def alike(text: str) -> str:
    """Return a text without what differs from key to key and from image to image."""
    return re.sub(r"\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b|(?<=, )\d+ bytes", "...", text)


def test_the_first_session_of_the_readme(machine: debian.Debian) -> None:
    """Installed by pipx, with the servers of the devserver; images are pushed in skopeo's place."""
    assert PIPX == "pipx install ."
    layouts.layout(machine.home / "image", sample.make("one", ["amd64"]))
    layouts.layout(machine.home / "notarypy" / "other", sample.make("other", ["amd64"]))
    lines = [
        f"{PIPX}[devserver] >&2",
        "notarypy devserver --dir ~/trial >&2 & server=$!",
        'trap "kill $server" EXIT',
        "until [ -e ~/trial/env ]; do sleep 0.1; done",
        ". ~/trial/env",
        'registry=$(basename "$(echo "$DOCKER_CONFIG"/certs.d/*)")',
        'echo "$registry $DOCKER_CONTENT_TRUST_SERVER"',
        'notarypy push oci:$HOME/image "$registry/admin/demo:1" >&2',
        "set +e",
    ]
    for line, _ in commands(SESSION):
        pushed = line.replace(SKOPEO, "notarypy push oci:other >&2 ")
        lines += ["echo '$'", pushed.replace("registry.example.com", "$registry") + " 2>&1"]
    said = machine.run("\n".join([*lines, "exit 0"])).expect(0).stdout
    head, *answers = re.split(r"^\$\n", said, flags=re.MULTILINE)
    registry, server = head.split()
    for (line, expected), answer in zip(commands(SESSION), answers, strict=True):
        if not line.startswith("openssl"):
            shown = answer.replace(registry, "registry.example.com").replace(
                server, "https://notary.example.com"
            )
            assert alike(shown) == alike(expected), line
