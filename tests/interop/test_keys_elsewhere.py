"""A repository whose root key is on a token, its targets key in OpenBao, its signer's key in AWS KMS.

Who does what: an owner has the token, SoftHSM's or a TPM's, out of reach most of the time, and a token of
OpenBao; a pipeline may use one key in KMS; a reader has nothing but a pin; somebody else works with Go notary
and docker.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from interop.harness import ministack, openbao, programs, services, softhsm, tpm
from interop.harness.people import REPOSITORY_PASSPHRASE, ROOT_PASSPHRASE
from interop.harness.softhsm import PIN, SoftHsm
from support import leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from interop.harness.images import Manifest, Repository
    from interop.harness.ministack import Kms
    from interop.harness.openbao import OpenBao
    from interop.harness.people import Person
    from interop.harness.programs import Run

BUILDER = """#!/bin/sh
# Stands for buildah: it says what it is to build.
while [ "$#" -gt 0 ]; do
  case "$1" in --file|-f) shift; cat "$1" ;; --file=*) cat "${1#--file=}" ;; esac
  shift
done
"""
PRIVATE_KEY = re.compile(rb"-----BEGIN (?:EC |RSA )?PRIVATE KEY-----")


@pytest.fixture(scope="module")
def vault(workshop: Path) -> Iterator[OpenBao]:
    with openbao.running(workshop / "openbao-elsewhere") as server:
        yield server


@pytest.fixture(scope="module")
def kms(workshop: Path) -> Iterator[Kms]:
    with ministack.running(workshop / "ministack-elsewhere") as server:
        yield server


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    made = SoftHsm(tmp_path_factory.mktemp("softhsm-elsewhere"))
    made.make_token("drawer")
    return made


@dataclass
class Company:
    """Everybody, what they keep secret, and all that their programs said."""

    owner: Person
    pipeline: Person
    reader: Person
    gopher: Person
    root_uri: str
    token: dict[str, str]  # what the owner has while the token is plugged in
    secrets: dict[str, str]
    notes: leaks.Notes
    said: list[str] = field(default_factory=list)

    def run(self, person: Person, code: int, *arguments: str | Path, **environment: str) -> Run:
        """Run notarypy with all that it logs, insist on an exit code, and keep what it said."""
        done = person.notarypy("-vv", *arguments, **environment)
        self.said.append(done.text)
        return done.expect(code)

    def leaks(self) -> list[object]:
        """Return where a secret or an open private key is, of all that was said, written and handed on."""
        texts = "\n".join([*self.said, *self.notes.children]).encode()
        places = [self.owner.home, self.pipeline.home, self.reader.home, *self.notes.files]
        files = leaks.found_in_files(places, self.secrets.values())
        opened = [path for path in self.notes.files if PRIVATE_KEY.search(path.read_bytes())]
        return [*leaks.found_in(texts, self.secrets.values()), *files, *opened, *PRIVATE_KEY.findall(texts)]


@pytest.fixture(scope="module")
def in_softhsm(hsm: SoftHsm) -> tuple[str, dict[str, str], str]:
    """Return the URI of a root key, what leads to it, and its PIN."""
    return hsm.make_key("drawer", "root", identity="01"), hsm.environment, PIN


@pytest.fixture(scope="module")
def in_tpm(workshop: Path) -> Iterator[tuple[str, dict[str, str], str]]:
    with tpm.running(workshop / "swtpm-elsewhere.log") as machine:
        machine.make_key("root", "01")
        yield machine.uri("root"), machine.environment, tpm.PIN


@pytest.fixture(params=["in_softhsm"])
def company(
    person: Callable[[str], Person],
    vault: OpenBao,
    kms: Kms,
    request: pytest.FixtureRequest,
    unique: Callable[[], str],
    tmp_path: Path,
) -> Company:
    root_uri, token, root_pin = request.getfixturevalue(request.param)
    owner, pipeline, reader, gopher = map(person, ("owner", "pipeline", "reader", "gopher"))
    targets = unique().rpartition("/")[2]
    vault.make_key(targets)
    vault.allow(targets, **{f"keys__{targets}": "read", f"sign__{targets}": "update"})
    bao = vault.token(targets)
    watched, notes = leaks.watching(tmp_path / "watch")
    for one in (owner, pipeline, reader):
        one.environment |= watched
    owner.environment |= vault.environment(bao) | {"TARGETS_KEY": f"hashivault://{targets}"}
    pipeline.environment |= kms.environment
    secrets = {
        "PIN": root_pin,
        "token of OpenBao": bao,
        "secret key of AWS": ministack.SECRET_KEY,
        "session token of AWS": ministack.SESSION_TOKEN,
        "passphrase of roots": ROOT_PASSPHRASE,
        "passphrase of others": REPOSITORY_PASSPHRASE,
    }
    token = token | {"NOTARYPY_PASSPHRASE_ROOT": root_pin}
    return Company(owner, pipeline, reader, gopher, root_uri, token, secrets, notes)


@pytest.mark.parametrize("company", ["in_softhsm", "in_tpm"], indirect=True)
def test_three_places_of_keys_from_init_to_a_build(
    company: Company, kms: Kms, repository: Repository, tmp_path: Path
) -> None:
    pin = initialise(company, repository)
    image = let_the_pipeline_sign(company, kms, repository)
    read_and_build(company, repository, image, pin, tmp_path / "bin")
    work_beside_go_and_docker(company, repository, image)
    take_the_token_out_of_its_drawer(company, repository, pin)
    assert company.leaks() == []


def initialise(company: Company, repository: Repository) -> str:
    """The owner makes trust data, with the token out of its drawer for once; return the pin."""
    owner = company.owner
    keys = ("--root-key", company.root_uri, "--targets-key", owner.environment["TARGETS_KEY"])
    made = company.run(owner, 0, "--json", "init", *keys, repository.name, **company.token)
    private = (owner.trust_dir / "private").iterdir()
    assert {path.suffix for path in private if path.is_file()} - {".lock"} == {".ref"}
    listed = company.run(owner, 0, "key", "list").stdout
    assert "pkcs11:" in listed
    assert "hashivault://" in listed
    (pin,) = made.document["results"][0]["root_pins"]
    assert isinstance(pin, str)
    return pin


def let_the_pipeline_sign(company: Company, kms: Kms, repository: Repository) -> Manifest:
    """The pipeline notes its key, the owner lets it sign by the targets key alone, and it signs tag 1."""
    uri = kms.name(repository.name.rpartition("/")[2], kms.make_key())
    company.run(company.pipeline, 0, "key", "add", uri, "--name", "jeff")
    company.run(company.pipeline, 0, "key", "test", "jeff")
    public = softhsm.public_half(company.pipeline, "jeff")
    company.run(company.owner, 0, "signer", "add", "jeff", repository.name, "--key", public)
    image = repository.push("1")
    repository.push("unsigned")
    company.run(company.pipeline, 0, "sign", repository.ref("1"))
    return image


def read_and_build(
    company: Company, repository: Repository, image: Manifest, pin: str, programs_of_reader: Path
) -> None:
    """Whoever has the pin reads it, and builds on nothing that is not signed."""
    reader, required = company.reader, ("--root", pin, "--signer", "jeff")
    verified = company.run(reader, 0, "verify", *required, repository.ref("1"), NOTARYPY_FIRST_USE="")
    assert verified.stdout == f"{repository.name}@sha256:{image.sha256}\n"
    company.run(reader, 3, "verify", repository.ref("unsigned"))
    programs_of_reader.mkdir()
    builder = programs_of_reader / "buildah"
    builder.write_text(BUILDER)
    builder.chmod(0o755)
    context, path = reader.home / "context", f"{programs_of_reader}:/usr/bin:/bin"
    context.mkdir()
    build = ("build", "--builder", "buildah", "--", context)
    (context / "Dockerfile").write_text(f"FROM {repository.ref('1')}\n")
    assert image.sha256 in company.run(reader, 0, *build, PATH=path).stdout
    started = len(company.notes.children)
    assert started > 0
    (context / "Dockerfile").write_text(f"FROM {repository.ref('unsigned')}\n")
    company.run(reader, 3, *build, PATH=path)
    assert len(company.notes.children) == started


def work_beside_go_and_docker(company: Company, repository: Repository, image: Manifest) -> None:
    """Go notary and docker read it, and work in the same directories and the same repository."""
    owner, pipeline, gopher = company.owner, company.pipeline, company.gopher
    for someone in (owner, pipeline, gopher):
        assert image.sha256 in someone.notary("list", repository.name).expect(0).stdout
        assert '"jeff"' in someone.inspection(repository.ref("1"))
    _, certificate = gopher.new_key("gopher")
    gopher.notary("key", "import", gopher.home / "gopher.key", "--role", "gopher").expect(0)
    company.run(owner, 0, "signer", "add", "gopher", repository.name, "--key", certificate)
    second = repository.push("2")
    gopher.notary_add(repository.name, "2", second, "targets/gopher", "targets/releases").expect(0)
    company.run(company.reader, 0, "verify", "--signer", "gopher", repository.ref("2"))
    third = repository.push("3")
    company.run(pipeline, 0, "sign", repository.ref("3"))
    assert third.sha256 in gopher.inspection(repository.name)
    company.run(pipeline, 0, "revoke", repository.ref("1"))
    company.run(company.reader, 3, "verify", repository.ref("1"))


def take_the_token_out_of_its_drawer(company: Company, repository: Repository, pin: str) -> None:
    """What takes the root key says so before anything has changed, and works with the token."""
    owner = company.owner
    company.run(owner, 0, "status", repository.name)
    before = owner.files()
    for role in ("targets", "snapshot", "root"):
        missed = company.run(owner, 6, "--yes", "key", "rotate", repository.name, role)
        assert re.search(r"\[key\.(token|backend)_missing\]", missed.stderr), missed
        assert owner.files() == before
    company.run(owner, 0, "renew", "--role", "root", repository.name, **company.token)
    company.run(owner, 0, "signer", "remove", "gopher", repository.name, "--keep-tags")
    company.run(company.reader, 0, "verify", "--root", pin, repository.ref("3"))
    company.gopher.notary("list", repository.name).expect(0)


def test_what_fails_shows_no_secret_either(company: Company, kms: Kms, repository: Repository) -> None:
    owner, pipeline, closed = company.owner, company.pipeline, f"https://127.0.0.1:{services.free_port()}"
    wrong = {"WRONG_PIN": softhsm.WRONG_PIN, "OLD_TOKEN": "s.token-of-yesterday", "TYPED": "typed-into-a-uri"}
    company.secrets |= wrong
    keys = ("--root-key", company.root_uri, "--targets-key", owner.environment["TARGETS_KEY"])
    company.run(owner, 0, "init", *keys, repository.name, **company.token)
    company.run(pipeline, 0, "key", "add", f"awskms:///{kms.make_key()}", "--name", "jeff")
    mistaken = company.token | {"NOTARYPY_PASSPHRASE_ROOT": wrong["WRONG_PIN"]}
    for output in ((), ("--json",)):
        company.run(owner, 6, *output, "key", "test", "root", **mistaken)
        company.run(owner, 6, *output, "--yes", "key", "rotate", repository.name, "targets", **mistaken)
        company.run(owner, 7, *output, "key", "test", "targets", VAULT_TOKEN=wrong["OLD_TOKEN"])
        company.run(owner, 8, *output, "key", "test", "targets", VAULT_ADDR=closed)
        company.run(pipeline, 8, *output, "key", "test", "jeff", AWS_ENDPOINT_URL=closed)
        for uri in (
            f"{company.root_uri}?pin-value={wrong['TYPED']}",
            f"hashivault://me:{wrong['TYPED']}@vault.example.com/release",
        ):
            company.run(owner, 2, *output, "key", "add", uri, "--name", "jo", **company.token)
    assert company.leaks() == []


def test_a_leak_would_be_found(company: Company, tmp_path: Path) -> None:
    """The search above can fail: what it looks for is found wherever it stands, in whatever form."""
    home = company.owner.home
    for name, secret in company.secrets.items():
        for number in range(3):
            form = base64.b64encode(b"x" * number + secret.encode() + b":y")
            (home / "planted").write_bytes(b"\0" + form)
            assert (home / "planted", secret) in company.leaks(), name
    (home / "planted").unlink()
    assert company.leaks() == []
    company.said.append(f"a line with {PIN} in it")
    assert company.leaks() == [PIN]
    company.said.clear()
    outside = tmp_path / "elsewhere.txt"
    writes = f"import pathlib; pathlib.Path({str(outside)!r}).write_text({PIN!r})"
    starts = f"import subprocess; subprocess.run(['true', {PIN!r}], check=True)"
    programs.run(["python", "-c", f"{writes}; {starts}"], company.owner.environment).expect(0)
    assert company.leaks() == [PIN, (outside, PIN)]
    outside.write_text("-----BEGIN EC PRIVATE KEY-----\n")
    assert company.leaks() == [PIN, outside]
