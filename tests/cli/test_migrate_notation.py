"""`migrate notation` with repositories of the fake servers: what it prints, and with which exit code."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.devserver.core import REGISTRY_HOST
from notarypy.images.manifests import OCI_INDEX, OCI_MANIFEST
from support import signingcertificates as made
from support.author import NOW
from support.people import index, manifest, prepared
from support.schema import problems

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from support.commands import Run

REPO = f"{REGISTRY_HOST}/app"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())
START, END = NOW - timedelta(days=1), NOW + timedelta(days=60)
NOTATION = ("migrate", "notation", "--key", "./release.pem", "--cert", "chain.pem")


@pytest.fixture(autouse=True)
def digests(run: Run, fake: Fake, home: Path) -> dict[str, str]:
    """Return the digests of the tags that jeff signed in a repository; there is a key with a certificate."""

    def make() -> dict[str, str]:
        found = {
            f"{REPO}:1": fake.registry.push("app", "1", manifest("1"), OCI_MANIFEST),
            f"{REPO}:multi": fake.registry.push("app", "multi", index("linux/amd64"), OCI_INDEX),
        }
        run("key", "generate", "jeff").expect(0)
        run("signer", "add", "--key", "jeff.pub", "jeff", REPO).expect(0)
        run("sign", *found).expect(0)
        (home / "chain.pem").write_bytes(made.pem(made.Certificate(start=START, end=END)))
        (home / "release.pem").write_bytes(made.private("P-256"))
        (home / "release.pem").chmod(0o600)
        return found

    return prepared(fake, home, __name__, make)


def test_tags_are_signed_once(run: Run, digests: dict[str, str]) -> None:
    lines = [f"{name} {digest}" for name, digest in digests.items()]
    would = run(*NOTATION, REPO, "--dry-run").expect(0).out.splitlines()
    assert would == [*(f"would be signed {line}" for line in lines), "2 tags: 2 would be signed"]
    signed = run(*NOTATION, "--all").expect(0)
    assert signed.out.splitlines() == [*(f"signed {line}" for line in lines), "2 tags: 2 signed"]
    assert signed.err == ""
    document = run("--json", *NOTATION, REPO).expect(0).document
    assert problems(document, SCHEMA) == []
    assert [(one["ref"], one["manifests"]) for one in document["results"]] == [
        (name, [{"digest": digest, "platform": "", "notation": "there"}]) for name, digest in digests.items()
    ]


@pytest.mark.parametrize(
    ("chain", "code", "says"),
    [
        (
            (made.Certificate("another", "another", start=START, end=END),),
            2,
            "is not for the key ./release.pem",
        ),
        ((made.authority("P-256", "P-256"),), 2, "this is an authority"),
        ((made.Certificate("P-384", "P-384"),), 6, "cannot sign for notation"),
        ((made.Certificate(start=START, end=START),), 2, "it is valid from"),
        ((), 2, "it cannot be read"),
    ],
)
def test_what_is_no_certificate_for_it(
    run: Run, fake: Fake, home: Path, chain: tuple[made.Certificate, ...], code: int, says: str
) -> None:
    (home / "chain.pem").write_bytes(made.pem(*chain))
    fake.requests.clear()
    outcome = run(*NOTATION, REPO).expect(code)
    assert says in outcome.err
    fix = "give the certificate of this key" if "is not for" in says else "code signing alone|or sign with"
    assert re.search(f"  fix: .*({fix})", outcome.err)
    assert not [line for line in fake.lines() if line.startswith(("PUT", "POST"))]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "no REF was given"),
        (("--all", REPO), 2, "--all names them already"),
        ((f"{REPO}@sha256:{'0' * 64}",), 2, "names no tag"),
        ((REPO, "--signer", "bob"), 10, "not signed by bob"),
        ((REPO, "--offline"), 2, "asks a registry"),
        ((REPO, "--cert", "none.pem"), 2, "cannot read none.pem"),
        ((REPO, "--key", "./none.pem"), 2, "there is no file ./none.pem"),
    ],
)
def test_what_cannot_be_meant_or_may_not_be_signed(
    run: Run, fake: Fake, words: tuple[str, ...], code: int, says: str
) -> None:
    fake.requests.clear()
    assert says in run(*NOTATION, *words).expect(code).err
    assert not [line for line in fake.lines() if line.startswith(("PUT", "POST"))]
