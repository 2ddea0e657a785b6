"""Files that openssl and ssh-keygen write: what is refused says a line that makes a key that all read."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interop.harness.programs import openssl

if TYPE_CHECKING:
    from collections.abc import Callable

    from interop.harness.images import Repository
    from interop.harness.people import Person

SUBJECT = ("-subj", "/CN=jeff", "-days", "30")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an RSA key, its public half and a certificate in a folder of their own, and go there."""
    monkeypatch.chdir(tmp_path)
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "good.key")
    openssl("pkey", "-in", "good.key", "-pubout", "-out", "good.pub")
    openssl("req", "-x509", "-new", "-key", "good.key", *SUBJECT, "-out", "good.crt")
    return tmp_path


def fix(text: str, name: str) -> str:
    """Return the command that an error advises, for this file."""
    (line,) = re.findall(r"^  fix: .*?: ((?:openssl|awk|base64|iconv|ssh-keygen) .*)$", text, re.MULTILINE)
    return re.sub(r"\b(FILE|KEY|COPY)(?!\.)\b", shlex.quote(name), line)


def follow(command: str) -> Path:
    """Run an advised command; return what it wrote."""
    subprocess.run(
        ["sh", "-c", command], check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60
    )
    return next(Path(name) for name in ("NAME.pub", "NAME.crt", "KEY.pem") if Path(name).exists())


def _pss() -> None:
    openssl("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "pss.key")
    openssl("req", "-x509", "-new", "-key", "pss.key", *SUBJECT, "-out", "file")


def _explicit() -> None:
    how = ("-name", "prime256v1", "-genkey", "-noout", "-param_enc", "explicit")
    openssl("ecparam", *how, "-out", "explicit.key")
    openssl("req", "-x509", "-new", "-key", "explicit.key", *SUBJECT, "-out", "file")


def _sha1() -> None:
    openssl("req", "-x509", "-new", "-sha1", "-key", "good.key", *SUBJECT, "-out", "file")


def _ssh() -> None:
    how = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", "ssh"]
    subprocess.run(how, check=True, capture_output=True, timeout=60)
    Path("ssh.pub").rename("file")


PUBLIC: dict[str, Callable[[], object]] = {
    "pss": _pss,
    "explicit": _explicit,
    "sha1": _sha1,
    "private": lambda: Path("good.key").rename("file"),
    "der private": lambda: openssl("pkey", "-in", "good.key", "-outform", "DER", "-out", "file"),
    "der certificate": lambda: openssl("x509", "-in", "good.crt", "-outform", "DER", "-out", "file"),
    "der public": lambda: openssl("pkey", "-in", "good.key", "-pubout", "-outform", "DER", "-out", "file"),
    "trusted": lambda: openssl("x509", "-in", "good.crt", "-trustout", "-out", "file"),
    "pkcs1": lambda: openssl("rsa", "-in", "good.key", "-RSAPublicKey_out", "-out", "file"),
    "request": lambda: openssl("req", "-new", "-key", "good.key", "-subj", "/CN=jeff", "-out", "file"),
    "pkcs7": lambda: openssl("crl2pkcs7", "-nocrl", "-certfile", "good.crt", "-out", "file"),
    "ssh": _ssh,
    "escaped": lambda: Path("file").write_text(Path("good.pub").read_text().replace("\n", "\\n")),
    "utf-16": lambda: Path("file").write_text(Path("good.pub").read_text(), encoding="utf-16"),
    "base64": lambda: openssl("base64", "-in", "good.pub", "-out", "file"),
}


@pytest.mark.parametrize("case", PUBLIC)
@pytest.mark.usefixtures("folder")
def test_a_signers_file_is_refused_with_the_line_that_makes_one_that_all_read(
    alice: Person, bob: Person, repository: Repository, case: str
) -> None:
    PUBLIC[case]()
    refused = alice.notarypy("signer", "add", "--key", "file", "jeff", repository.name).expect(6)
    assert "the file is file" in refused.stderr
    usable = follow(fix(refused.stderr, "file"))
    alice.notarypy("signer", "add", "--key", usable, "jeff", repository.name).expect(0)
    assert "targets/jeff" in bob.notary("delegation", "list", repository.name).expect(0).stdout
    assert '"jeff"' in bob.inspection(repository.name)


PRIVATE: dict[str, Callable[[], object]] = {
    "der": lambda: openssl("pkey", "-in", "good.key", "-outform", "DER", "-out", "file"),
    "escaped": lambda: Path("file").write_text(Path("good.key").read_text().replace("\n", "\\n")),
    "base64": lambda: openssl("base64", "-in", "good.key", "-out", "file"),
}


@pytest.mark.parametrize("case", PRIVATE)
@pytest.mark.usefixtures("folder")
def test_a_private_key_file_is_refused_with_the_line_that_makes_one(alice: Person, case: str) -> None:
    PRIVATE[case]()
    refused = alice.notarypy("key", "load", "file", "--name", "jeff").expect(6)
    assert "the file is file" in refused.stderr
    alice.notarypy("key", "load", follow(fix(refused.stderr, "file")), "--name", "jeff").expect(0)
    assert "jeff" in alice.notary("key", "list").expect(0).stdout


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("kind", [_pss, _explicit])
def test_a_private_key_in_an_odd_form_is_stored_as_go_uses_it(
    alice: Person, repository: Repository, kind: Callable[[], None]
) -> None:
    kind()
    (odd,) = (path for path in Path().glob("*.key") if path.name != "good.key")
    openssl("pkey", "-in", odd, "-pubout", "-out", "odd.pub")
    alice.notarypy("key", "load", odd, "--name", "jeff").expect(0)
    alice.notarypy("signer", "add", "--key", "odd.pub", "jeff", repository.name).expect(0)
    alice.notary_add(repository.name, "1", repository.push("1"), "targets/jeff", "targets/releases").expect(0)
    alice.notarypy("verify", "--signer", "jeff", repository.ref("1")).expect(0)


@pytest.mark.usefixtures("folder")
def test_go_refuses_what_we_refuse(alice: Person, repository: Repository) -> None:
    alice.own(repository.name)
    for make in (_pss, _explicit, _sha1):
        make()
        added = alice.notary("delegation", "add", repository.name, "targets/x", "file", "--all-paths")
        assert added.code != 0
