"""`docker-trust` in this process, with the real client and the fake servers: every verb, every error."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from notarypy.cli.dockertrust import program, shell
from notarypy.cli.dockertrust.shell import DockersWording
from notarypy.cli.text.advice import advice
from notarypy.client.transfer import pushing
from notarypy.devserver.core import NOTARY_HOST, REGISTRY_HOST
from notarypy.devserver.tampering import Tampering
from notarypy.errors import TlsError, UnreachableError
from notarypy.remote.http.messages import Response
from notarypy.storage.settings import servers
from support.author import private_key
from support.commands import written
from support.people import prepared

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.client.api import Client
    from notarypy.client.session import Session
    from notarypy.devserver.core import Fake
    from notarypy.images.manifests import Manifest
    from notarypy.images.reference import Reference
    from support.commands import Run

REPO = f"{REGISTRY_HOST}/admin/demo"
OTHER = f"{REGISTRY_HOST}/admin/other"
MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
REPOSITORY_VARIABLE = "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE"
HEX = re.compile(r"[0-9a-f]{64}")


def push(fake: Fake, tag: str, size: int = 1, path: str = "admin/demo") -> str:
    """Push an image of its own; return its digest."""
    part = {"mediaType": "application/octet-stream", "digest": f"sha256:{'0' * 64}", "size": size}
    manifest = {"schemaVersion": 2, "mediaType": MEDIA_TYPE, "config": part, "layers": [part]}
    return fake.registry.push(path, tag, json.dumps(manifest).encode(), MEDIA_TYPE)


def key_file(home: Path, name: str) -> Path:
    """Write a private key of this name, as openssl does; return its path."""
    pem = private_key(name).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    path = home / f"{name}.key"
    path.write_bytes(pem)
    path.chmod(0o600)
    return path


def public_file(home: Path, name: str) -> str:
    """Write a public key of this name; return its path."""
    form = PublicFormat.SubjectPublicKeyInfo
    return written(home / f"{name}.pub", private_key(name).public_key().public_bytes(Encoding.PEM, form))


@pytest.fixture
def owned(docker_trust: Run, home: Path, fake: Fake) -> Fake:
    """Make jeff, whose key is here, a signer of the repository; return the servers."""

    def make() -> None:
        docker_trust("key", "load", key_file(home, "jeff"), "--name", "jeff").expect(0)
        docker_trust("signer", "add", "--key", public_file(home, "jeff"), "jeff", REPO).expect(0)

    prepared(fake, home, __name__, make)
    return fake


@pytest.fixture
def signed(docker_trust: Run, owned: Fake) -> str:
    """Sign tag 1; return its digest."""
    digest = push(owned, "1")
    docker_trust("sign", f"{REPO}:1").expect(0)
    return digest


def login(home: Path, user: str) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker" / "config.json").write_text(
        json.dumps({"auths": {REGISTRY_HOST: {"username": user, "password": "the secret of tests"}}})
    )


# -- key -------------------------------------------------------------------------------------------


def test_key_generate(docker_trust: Run, home: Path) -> None:
    (home / "keys").mkdir()
    for argv, path in (([], f"{home}/jo.pub"), (["--dir", "keys"], "keys/jo.pub")):
        outcome = docker_trust("key", "generate", "jo", *argv).expect(0)
        assert outcome.out == (
            "Generating key for jo...\n"
            f"Successfully generated and loaded private key. Corresponding public key available: {path}\n"
        )
        assert b"role: jo" in (home / path).read_bytes()
        outcome = docker_trust("key", "generate", "jo", *argv).expect(1)
        assert (outcome.out, outcome.err) == ("", f'public key file already exists: "{path}"\n')
    assert len(list((home / ".docker/trust/private").glob("*.key"))) == 2


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (
            ["Jo"],
            'key name "Jo" must start with lowercase alphanumeric characters and can include "-" or "_"',
        ),
        (["jo", "--dir", "nowhere"], 'public key path does not exist: "nowhere"\n'),
        (["releases"], 'failed to generate key for releases: "releases" is reserved\n'),
    ],
)
def test_key_generate_refuses(docker_trust: Run, home: Path, argv: list[str], text: str) -> None:
    assert docker_trust("key", "generate", *argv).expect(1).err.startswith(text)
    assert list(home.rglob("*.pub")) == []


def test_key_generate_without_a_passphrase_leaves_nothing(
    docker_trust: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REPOSITORY_VARIABLE)
    outcome = docker_trust("key", "generate", "jo").expect(1)
    assert outcome.err.startswith("failed to generate key for jo: there is no passphrase for the new key")
    assert outcome.err.endswith(f"there is no terminal to ask on\n  fix: set {REPOSITORY_VARIABLE}\n")
    assert list(home.rglob("*.pub")) + list(home.rglob("*.key")) == []


def test_a_passphrase_comes_through_a_pipe_as_with_docker(
    docker_trust: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REPOSITORY_VARIABLE)
    outcome = docker_trust("key", "generate", "jo", typed="typed secret\ntyped secret\n").expect(0)
    assert "typed secret" not in outcome.out + outcome.err
    assert len(list(home.rglob("*.key"))) == 1
    outcome = docker_trust("key", "generate", "jim", typed="typed secret\n").expect(1)
    assert "typed secret" not in outcome.out + outcome.err


def test_passphrases_are_asked_for_in_dockers_words(
    docker_trust: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REPOSITORY_VARIABLE)
    typed = "short\nlong enough\nnot the same\nlong enough\nlong enough\n"
    asked = docker_trust("key", "generate", "jo", typed=typed).expect(0).out
    (path,) = home.rglob("private/*.key")
    key = f"jo key with ID {path.stem[:7]}: "
    assert asked.splitlines()[1:-1] == [
        f"Enter passphrase for new {key}",
        DockersWording.too_short.rstrip("\n"),
        f"Enter passphrase for new {key}",
        f"Repeat passphrase for new {key}",
        "Passphrases do not match. Please retry.",
        f"Enter passphrase for new {key}",
        f"Repeat passphrase for new {key}",
    ]
    assert (home / "jo.pub").stat().st_mode & 0o777 == 0o600
    kept = path.rename(home / "kept.key")
    outcome = docker_trust("key", "load", kept, typed="wrong\n" * 3 + "\n").expect(1)
    assert outcome.out.count("Enter passphrase for encrypted key: \n") == 4
    assert outcome.out.count("Passphrase incorrect. Please retry.\n") == 3


def test_a_server_without_an_https_address(docker_trust: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_SERVER", "notary.test")
    line = "valid https URL required for trust server, got notary.test\n  why: "
    outcome = docker_trust("inspect", REPO).expect(1)
    assert outcome.out == "[]\n"
    assert outcome.err.startswith(line)
    for argv in (("inspect", "--pretty", REPO), ("sign", f"{REPO}:1")):
        outcome = docker_trust(*argv).expect(1)
        assert outcome.out == ""
        assert outcome.err.startswith(line)


def test_key_load(docker_trust: Run, home: Path) -> None:
    path = key_file(home, "jeff")
    text = f'Loading key from "{path}"...\nSuccessfully imported key from {path}\n'
    for _ in range(2):
        assert docker_trust("key", "load", path, "--name", "jeff").expect(0).out == text
    (stored,) = home.rglob("private/*.key")
    assert b"role: jeff" in stored.read_bytes()
    assert docker_trust("key", "load", stored).expect(0).out.endswith(f"imported key from {stored}\n")


def test_a_pin_in_place_of_a_file_is_not_repeated(docker_trust: Run) -> None:
    outcome = docker_trust("key", "load", "pkcs11:token=t?pin-value=1234").expect(1)
    assert "no PIN" in outcome.err
    assert "1234" not in outcome.out + outcome.err


def test_key_load_names_a_key_signer_if_nobody_else_does(docker_trust: Run, home: Path) -> None:
    docker_trust("key", "load", key_file(home, "jeff")).expect(0)
    (stored,) = home.rglob("private/*.key")
    assert b"role: signer" in stored.read_bytes()


def test_a_copied_key_file_is_really_imported(docker_trust: Run, home: Path, fake: Fake) -> None:
    docker_trust("key", "load", key_file(home, "jeff"), "--name", "jeff").expect(0)
    (stored,) = home.rglob("private/*.key")
    copied = stored.rename(home / "copied.key")
    docker_trust("key", "load", copied).expect(0)
    assert stored.exists()
    docker_trust("signer", "add", "--key", public_file(home, "jeff"), "jeff", REPO).expect(0)
    push(fake, "1")
    docker_trust("sign", f"{REPO}:1").expect(0)


def test_key_load_refuses_what_others_can_read(docker_trust: Run, home: Path) -> None:
    path = key_file(home, "jeff")
    path.chmod(0o640)
    assert docker_trust("key", "load", path).expect(1).err == (
        f"refusing to load key from {path}: "
        f"private key file {path} must not be readable or writable by others\n"
    )
    assert list(home.rglob("private/*.key")) == []


def test_key_load_says_what_it_cannot_load(docker_trust: Run, home: Path) -> None:
    outcome = docker_trust("key", "load", "nofile").expect(1)
    assert outcome.out == 'Loading key from "nofile"...\n'
    assert outcome.err == "refusing to load key from nofile: stat nofile: no such file or directory\n"
    named = docker_trust("key", "load", "nofile", "--name", "Jeff").expect(1)
    assert (named.out, named.err[:16]) == ("", 'key name "Jeff" ')
    for name, data in (
        ("junk", b"hello"),
        ("jeff.pub", (home / public_file(home, "jeff")).read_bytes()),
        (
            "ed.key",
            ed25519.Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ),
        ),
    ):
        path = home / name
        path.write_bytes(data)
        path.chmod(0o600)
        lines = docker_trust("key", "load", path).expect(1).err.splitlines()
        assert lines[0] == (
            f"error importing key from {path}: provided file {path} is not a supported private key - "
            "to add a signer's public key use docker trust signer add"
        )
        assert lines[1].startswith("  why: ")
    large = home / "large"
    large.write_bytes(b"x" * ((1 << 20) + 1))
    large.chmod(0o600)
    assert "it has more than" in docker_trust("key", "load", large).expect(1).err


def test_key_load_keeps_the_name_that_a_key_has(docker_trust: Run, home: Path) -> None:
    path = key_file(home, "jeff")
    docker_trust("key", "load", path, "--name", "jeff").expect(0)
    outcome = docker_trust("key", "load", path, "--name", "other").expect(1)
    assert outcome.err.startswith(f"error importing key from {path}: key ")
    assert "is here already, as jeff\n" in outcome.err
    assert outcome.err.endswith(" other\n")


# -- signer ----------------------------------------------------------------------------------------


def test_signer_add_initialises(docker_trust: Run, home: Path) -> None:
    public = public_file(home, "jeff")
    first = docker_trust("signer", "add", "--key", public, "jeff", REPO).expect(0)
    assert first.out == (
        f'Adding signer "jeff" to {REPO}...\n'
        f"Initializing signed repository for {REPO}...\n"
        f'Successfully initialized "{REPO}"\n'
        f"Successfully added signer: jeff to {REPO}\n\n"
    )
    again = docker_trust("signer", "add", "jeff", f"{REPO}:1", "--key", public).expect(0)
    assert again.out == (
        f'Adding signer "jeff" to {REPO}:1...\nSuccessfully added signer: jeff to {REPO}:1\n\n'
    )


def test_signer_add_tries_every_repository(docker_trust: Run, home: Path) -> None:
    public = public_file(home, "jeff")
    outcome = docker_trust("signer", "add", "--key", public, "jeff", "UP", REPO, f"{REPO}/").expect(1)
    assert outcome.out.startswith(f'Adding signer "jeff" to UP...\nAdding signer "jeff" to {REPO}...\n')
    assert outcome.err.startswith('invalid reference format: "UP" has upper-case letters')
    assert outcome.err.endswith(f"\n\nfailed to add signer to: UP, {REPO}/\n")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["Jo", REPO], 'signer name "Jo" must start with lowercase alphanumeric'),
        (["a/b", REPO], 'signer name "a/b" must start with lowercase alphanumeric'),
        (["releases", REPO], "releases is a reserved keyword, use a different signer name\n"),
        (["jo", REPO], "path to a public key must be provided using the `--key` flag\n"),
        (
            ["jo", REPO, "--key", "nofile"],
            "unable to read public key from file: open nofile: no such file or directory\n",
        ),
        (
            ["jo", REPO, "--key", "junk"],
            "could not parse public key from file: junk: no valid public key found\n  why: ",
        ),
    ],
)
def test_signer_add_refuses_before_it_asks_anybody(
    docker_trust: Run, home: Path, fake: Fake, argv: list[str], text: str
) -> None:
    written(home / "junk", "hello")
    outcome = docker_trust("signer", "add", *argv).expect(1)
    assert outcome.err.startswith(text)
    assert (outcome.out, fake.requests) == ("", [])


@pytest.mark.usefixtures("owned")
def test_signer_add_without_the_repository_key(docker_trust: Run, home: Path) -> None:
    for path in home.rglob("private/*.key"):
        path.unlink()
    outcome = docker_trust("signer", "add", "--key", public_file(home, "bob"), "bob", REPO).expect(1)
    assert outcome.err.startswith(f"the keys here cannot sign targets of {REPO}\n  why: ")
    assert outcome.err.endswith(f"\n\nfailed to add signer to: {REPO}\n")


@pytest.mark.usefixtures("signed")
def test_signer_remove_really_removes(docker_trust: Run, home: Path) -> None:
    docker_trust("signer", "add", "--key", public_file(home, "bob"), "bob", REPO).expect(0)
    outcome = docker_trust("signer", "remove", "bob", REPO).expect(0)
    assert outcome.out == f'Removing signer "bob" from {REPO}...\nSuccessfully removed bob from {REPO}\n\n'
    (found,) = docker_trust("inspect", REPO).expect(0).document
    assert [signer["Name"] for signer in found["Signers"]] == ["jeff"]


@pytest.mark.usefixtures("signed")
def test_signer_remove_says_what_failed(docker_trust: Run) -> None:
    outcome = docker_trust("signer", "remove", "nobody", REPO, "UP", OTHER).expect(1)
    assert outcome.out == "".join(
        f'Removing signer "nobody" from {name}...\n' for name in (REPO, "UP", OTHER)
    )
    assert outcome.err == (
        f"no signer nobody for repository {REPO}\n\n"
        'invalid reference format: "UP" has upper-case letters; repository names are lower case\n\n'
        f"error retrieving signers for {OTHER}: {NOTARY_HOST} does not have trust data for {OTHER}\n\n"
        f"error removing signer from: {REPO}, UP, {OTHER}\n"
    )
    for name, text in (
        ("releases", "releases is a reserved keyword and cannot be removed"),
        ("Jo", "no signer Jo"),
    ):
        assert docker_trust("signer", "remove", name, REPO).expect(1).err.startswith(text)


@pytest.mark.usefixtures("signed")
def test_the_last_signer_goes_only_with_a_yes(docker_trust: Run) -> None:
    head = f'Removing signer "jeff" from {REPO}...\n'
    nobody = docker_trust("signer", "remove", "jeff", REPO).expect(1)
    assert nobody.out.startswith(f'{head}The signer "jeff" signed the last released version of {REPO}. ')
    assert "nothing was changed\n  fix: add --force" in nobody.err
    assert "was not removed" in docker_trust("signer", "remove", "jeff", REPO, typed="n\n").expect(1).err
    assert len(docker_trust("inspect", REPO).expect(0).document[0]["Signers"]) == 1
    assert "was not removed" in docker_trust("signer", "remove", "jeff", REPO, typed="yes\n").expect(1).err
    outcome = docker_trust("signer", "remove", "jeff", REPO, typed="y\n").expect(0)
    assert outcome.out.endswith(f"Successfully removed jeff from {REPO}\n\n")
    assert docker_trust("inspect", REPO).expect(0).document[0]["Signers"] == []


@pytest.mark.usefixtures("signed")
def test_whoever_may_not_remove_a_signer_is_not_asked(docker_trust: Run, home: Path) -> None:
    for path in (home / ".docker" / "trust" / "private").glob("*.key"):
        if b"role: targets" in path.read_bytes():
            path.unlink()
    outcome = docker_trust("signer", "remove", "jeff", REPO, typed="y\n").expect(1)
    assert outcome.out == f'Removing signer "jeff" from {REPO}...\n'
    assert outcome.err.startswith(f"the keys here cannot sign targets of {REPO}\n  why: ")


@pytest.mark.usefixtures("signed")
def test_force_asks_nobody(docker_trust: Run) -> None:
    outcome = docker_trust("signer", "remove", "--force", "jeff", REPO).expect(0)
    assert outcome.out == f'Removing signer "jeff" from {REPO}...\nSuccessfully removed jeff from {REPO}\n\n'
    assert "cannot be verified until" in outcome.err


# -- sign ------------------------------------------------------------------------------------------


def test_sign_and_sign_again(docker_trust: Run, owned: Fake) -> None:
    old = push(owned, "1")
    first = docker_trust("sign", f"{REPO}:1").expect(0)
    assert re.fullmatch(
        rf"1: digest: {old} size: \d+\nSigning and pushing trust metadata\nSuccessfully signed {REPO}:1\n",
        first.out,
    )
    head = f"Signing and pushing trust metadata for {REPO}:1\nExisting signatures for tag 1 digest "
    again = docker_trust("sign", f"{REPO}:1").expect(0)
    assert again.out == f"{head}{old[7:]} from:\njeff\nSuccessfully signed {REPO}:1\n"
    assert (first.err, again.err) == ("", "")

    new = push(owned, "1", size=2)
    moved = docker_trust("sign", f"{REPO}:1").expect(0)
    assert moved.out.startswith(f"{head}{old[7:]} from:\njeff\n1: digest: {new} size: ")
    assert moved.out.endswith(f"\nSuccessfully signed {REPO}:1\n")
    assert moved.err == f"warning: {REPO}:1 was {old}, now {new}\n"


def test_sign_without_delegations_names_nobody(docker_trust: Run, run: Run, fake: Fake) -> None:
    run("init", REPO).expect(0)
    digest = push(fake, "1")
    docker_trust("sign", f"{REPO}:1").expect(0)
    assert f"digest {digest[7:]} from:\n\nSuccessfully" in docker_trust("sign", f"{REPO}:1").expect(0).out


def test_sign_makes_a_new_repository_for_whoever_is_logged_in(
    docker_trust: Run, fake: Fake, home: Path
) -> None:
    push(fake, "1")
    login(home, "alice")
    outcome = docker_trust("sign", f"{REPO}:1").expect(0)
    assert outcome.out.startswith(
        f"Created signer: alice\nFinished initializing signed repository for {REPO}:1\n1: digest: sha256:"
    )
    (found,) = docker_trust("inspect", REPO).expect(0).document
    assert found["SignedTags"][0]["Signers"] == ["alice"]
    assert "the secret of tests" not in outcome.out + outcome.err


def test_a_new_repository_takes_the_key_that_the_user_has(docker_trust: Run, fake: Fake, home: Path) -> None:
    push(fake, "1")
    login(home, "jeff")
    docker_trust("key", "load", key_file(home, "jeff"), "--name", "jeff").expect(0)
    (key,) = home.rglob("private/*.key")
    docker_trust("sign", f"{REPO}:1").expect(0)
    (found,) = docker_trust("inspect", REPO).expect(0).document
    assert found["Signers"] == [{"Name": "jeff", "Keys": [{"ID": key.stem}]}]


@pytest.mark.parametrize(
    ("user", "text"),
    [
        (None, f"{REPO} has no trust data, and its first signer has no name\n"),
        ("Alice", 'the login "Alice" cannot be the name of a signer\n'),
    ],
)
def test_a_login_that_names_no_signer(
    docker_trust: Run, fake: Fake, home: Path, user: str | None, text: str
) -> None:
    push(fake, "1")
    if user is not None:
        login(home, user)
    outcome = docker_trust("sign", f"{REPO}:1").expect(1)
    assert outcome.err.startswith(f"failed to sign {REPO}:1: {text}  why: ")
    assert f"docker trust signer add --key FILE NAME {REPO}\n" in outcome.err
    assert outcome.out == ""
    assert list(home.rglob("*.key")) == []


def test_a_new_repository_is_not_made_for_an_image_that_is_not_there(
    docker_trust: Run, fake: Fake, home: Path
) -> None:
    login(home, "alice")
    outcome = docker_trust("sign", f"{REPO}:1").expect(1)
    assert outcome.err.startswith(f"failed to sign {REPO}:1: {REGISTRY_HOST} has no 1 in admin/demo\n")
    assert "push the image first" in outcome.err
    assert list(home.rglob("*.key")) == []
    assert not any(line.startswith("POST") for line in fake.lines())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (REPO, f"no tag specified for {REPO}"),
        (f"{REPO}@sha256:{'0' * 64}", "cannot use a digest reference for IMAGE:TAG"),
        (f"{REPO}:1@sha256:{'0' * 64}", "cannot use a digest reference for IMAGE:TAG"),
        ("UP", 'invalid reference format: "UP" has upper-case letters; repository names are lower case'),
    ],
)
def test_sign_takes_a_tag(docker_trust: Run, text: str, told: str) -> None:
    outcome = docker_trust("sign", text).expect(1)
    assert (outcome.out, outcome.err) == ("", f"{told}\n")


def test_sign_without_a_key(docker_trust: Run, owned: Fake, home: Path) -> None:
    push(owned, "1")
    for path in home.rglob("private/*.key"):
        path.unlink()
    outcome = docker_trust("sign", f"{REPO}:1").expect(1)
    assert outcome.err.startswith(
        f"failed to sign {REPO}:1: no valid signing keys for delegation roles\n"
        f"  why: none of your keys may sign {REPO}:1\n"
    )
    assert outcome.out == ""


def test_sign_where_the_owner_kept_the_snapshot_key(docker_trust: Run, owned: Fake) -> None:
    push(owned, "1")
    another = json.dumps(owned.notary.keys.offered("another", "snapshot").to_json()).encode()
    refusal = b'{"errors":[{"code":"INVALID_UPDATE","message":"no","detail":"no snapshot was included"}]}'
    Tampering(owned).answer(Response(200, {}, another), path=r".*/snapshot\.key")
    Tampering(owned).answer(Response(400, {}, refusal), method="POST")
    outcome = docker_trust("sign", f"{REPO}:1").expect(1)
    assert outcome.err.startswith(
        f"failed to sign {REPO}:1: the keys here cannot sign the snapshot of {REPO}"
    )
    assert f"notarypy key rotate {REPO} snapshot --server-managed" in outcome.err


def test_a_wrong_passphrase_is_no_success(
    docker_trust: Run, owned: Fake, signed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(owned, "1", size=2)
    monkeypatch.setenv(REPOSITORY_VARIABLE, "wrong passphrase")
    outcome = docker_trust("sign", f"{REPO}:1").expect(1)
    assert outcome.err.startswith(f'failed to sign {REPO}:1: cannot unlock key "jeff" (')
    assert "Successfully" not in outcome.out
    assert "wrong passphrase" not in outcome.out + outcome.err
    (found,) = docker_trust("inspect", REPO).expect(0).document
    assert found["SignedTags"][0]["Digest"] == signed[7:]


@pytest.mark.usefixtures("signed")
def test_trust_data_that_vanished_is_not_made_anew(docker_trust: Run, owned: Fake, home: Path) -> None:
    login(home, "alice")
    Tampering(owned).delete(REPO)
    for argv in ([], ["--local"]):
        outcome = docker_trust("sign", *argv, f"{REPO}:1").expect(1)
        assert (outcome.out, "Successfully" in outcome.err) == ("", False)
    assert owned.notary.store.current(REPO, "root") is None


# -- sign --local ----------------------------------------------------------------------------------


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch, fake: Fake) -> set[str]:
    """Return the tags that a daemon has; it pushes to the fake."""
    tags: set[str] = set()

    def push_local(session: Session, reference: Reference) -> Manifest:
        tag = reference.tag or ""
        push(fake, tag, size=7)
        return session.manifest(reference, tag)

    monkeypatch.setattr(pushing, "push_local", push_local)
    monkeypatch.setattr(pushing, "has_local", lambda _, reference: reference.tag in tags)
    return tags


def test_sign_local_signs_what_was_pushed(docker_trust: Run, owned: Fake, daemon: set[str]) -> None:
    daemon.add("1")
    push(owned, "1")
    outcome = docker_trust("sign", "--local", f"{REPO}:1").expect(0)
    served = HEX.search(outcome.out)
    assert served is not None
    assert outcome.out.startswith(f"1: digest: sha256:{served[0]} size: ")
    assert outcome.err == (
        f"Signing and pushing trust data for local image {REPO}:1, may overwrite remote trust data\n"
    )
    assert served[0] == push(owned, "1", size=7)[7:]


def test_sign_local_makes_trust_data_before_it_pushes(
    docker_trust: Run, home: Path, fake: Fake, daemon: set[str]
) -> None:
    daemon.add("1")
    outcome = docker_trust("sign", "--local", f"{REPO}:1").expect(1)
    assert "its first signer has no name" in outcome.err
    assert not any("/v2/admin/demo/manifests" in line for line in fake.lines())
    login(home, "alice")
    outcome = docker_trust("sign", "--local", f"{REPO}:1").expect(0)
    assert outcome.out.startswith("Created signer: alice\nFinished initializing ")


@pytest.mark.usefixtures("owned")
def test_an_image_that_only_the_daemon_has(docker_trust: Run, daemon: set[str]) -> None:
    daemon.add("new")
    outcome = docker_trust("sign", f"{REPO}:new").expect(1)
    assert outcome.err.endswith(
        "  why: the docker daemon here has it\n"
        f"  fix: push that image and sign it: docker trust sign --local {REPO}:new\n"
    )


@pytest.mark.usefixtures("owned")
def test_sign_local_without_a_daemon(docker_trust: Run, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{home}/none.sock")
    outcome = docker_trust("sign", "--local", f"{REPO}:1").expect(1)
    assert f"failed to sign {REPO}:1: " in outcome.err
    assert "DOCKER_HOST" in outcome.err
    assert outcome.out == ""


# -- revoke ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("signed")
def test_revoke_a_tag(docker_trust: Run) -> None:
    outcome = docker_trust("revoke", f"{REPO}:1").expect(0)
    assert (outcome.out, outcome.err) == (f"Successfully deleted signature for {REPO}:1\n", "")
    again = docker_trust("revoke", f"{REPO}:1").expect(1)
    assert again.err == f"could not remove signature for {REPO}:1: No valid trust data for 1\n"
    assert docker_trust("inspect", REPO).expect(0).document[0]["SignedTags"] == []


@pytest.mark.usefixtures("signed")
def test_revoke_a_repository(docker_trust: Run) -> None:
    question = f"Confirm you would like to delete all signature data for {REPO}? [y/N] "
    for typed, code in ((None, 1), ("n\n", 0), ("maybe\n", 0)):
        outcome = docker_trust("revoke", REPO, typed=typed).expect(code)
        assert outcome.out.startswith(question)
        assert ("nothing was changed\n  fix: add --yes" in outcome.err) == (typed is None)
    assert len(docker_trust("inspect", REPO).expect(0).document[0]["SignedTags"]) == 1
    for answer in ("yes\n", "Yes\n", "y e s\n", "\n"):
        outcome = docker_trust("revoke", REPO, typed=answer).expect(0)
        assert "Successfully" not in outcome.out
    outcome = docker_trust("revoke", REPO, typed=" Y \n").expect(0)
    assert outcome.out == f"{question}Successfully deleted signature for {REPO}\n"
    again = docker_trust("revoke", "-y", REPO).expect(1)
    assert again.err == f"could not remove signature for {REPO}: no signed tags to remove\n"


def test_revoke_that_leaves_a_tag_released_is_no_success(
    docker_trust: Run, run: Run, home: Path, fake: Fake
) -> None:
    run("init", REPO).expect(0)
    push(fake, "1")
    docker_trust("sign", f"{REPO}:1").expect(0)
    docker_trust("key", "load", key_file(home, "jeff"), "--name", "jeff").expect(0)
    docker_trust("signer", "add", "--key", public_file(home, "jeff"), "jeff", REPO).expect(0)
    docker_trust("sign", f"{REPO}:1").expect(0)
    for path in home.rglob("private/*.key"):
        if b"role: targets" in path.read_bytes():
            path.unlink()
    outcome = docker_trust("revoke", f"{REPO}:1").expect(1)
    assert outcome.out == ""
    assert outcome.err.endswith(
        f"could not remove signature for {REPO}:1: 1: still released\n"
        "  why: targets still lists it; no key of that is here\n"
    )


@pytest.mark.usefixtures("signed")
def test_revoke_without_a_key(docker_trust: Run, home: Path) -> None:
    for path in home.rglob("private/*.key"):
        path.unlink()
    assert (
        docker_trust("revoke", f"{REPO}:1")
        .expect(1)
        .err.startswith(
            f"could not remove signature for {REPO}:1: no valid signing keys for delegation roles\n  why: "
        )
    )


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (
            ["-y", OTHER],
            f"could not remove signature for {OTHER}: {NOTARY_HOST} does not have trust data for {OTHER}\n",
        ),
        (
            [f"{OTHER}:1"],
            f"could not remove signature for {OTHER}:1: {NOTARY_HOST} does not have trust data for {OTHER}\n",
        ),
        ([f"{OTHER}@sha256:{'0' * 64}"], "cannot use a digest reference for IMAGE:TAG\n"),
        (["UP"], 'invalid reference format: "UP" has upper-case letters; repository names are lower case\n'),
    ],
)
def test_revoke_what_is_not_there(docker_trust: Run, argv: list[str], told: str) -> None:
    outcome = docker_trust("revoke", *argv).expect(1)
    assert (outcome.out, outcome.err) == ("", told)


# -- inspect ---------------------------------------------------------------------------------------


def test_inspect(docker_trust: Run, signed: str) -> None:
    (found,) = docker_trust("inspect", f"{REPO}:1").expect(0).document
    assert found["Name"] == f"{REPO}:1"
    assert found["SignedTags"] == [{"SignedTag": "1", "Digest": signed[7:], "Signers": ["jeff"]}]
    assert docker_trust("inspect", f"{REPO}:2").expect(0).document[0]["SignedTags"] == []


@pytest.mark.usefixtures("signed")
def test_inspect_of_several_shows_what_it_can(docker_trust: Run) -> None:
    outcome = docker_trust("inspect", OTHER, "UP", REPO).expect(1)
    assert [found["Name"] for found in outcome.document] == [REPO]
    assert outcome.err == (
        f"no signatures or cannot access {OTHER}\n"
        'invalid reference format: "UP" has upper-case letters; repository names are lower case\n'
    )
    assert docker_trust("inspect", OTHER).expect(1).out == "[]\n"


@pytest.mark.usefixtures("signed")
def test_inspect_for_people_ends_at_the_first_that_fails(docker_trust: Run) -> None:
    one = docker_trust("inspect", "--pretty", REPO).expect(0).out
    assert one.startswith(f"\nSignatures for {REPO}\n\nSIGNED TAG   DIGEST")
    assert docker_trust("inspect", "--pretty", REPO, REPO).expect(0).out == f"{one}\n\n{one}"
    outcome = docker_trust("inspect", "--pretty", REPO, OTHER, REPO).expect(1)
    assert (outcome.out, outcome.err) == (f"{one}\n\n", f"no signatures or cannot access {OTHER}\n")


@pytest.mark.usefixtures("signed")
def test_inspect_says_why_it_cannot(docker_trust: Run, owned: Fake) -> None:
    Tampering(owned).delete(REPO)
    outcome = docker_trust("inspect", REPO).expect(1)
    assert outcome.out == "[]\n"
    assert re.match(
        rf"no signatures or cannot access {REPO}\n  why: .*{REPO}.*\n(  why: .*\n)*  fix: ", outcome.err
    )


# -- the program -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "code", "text"),
    [
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 1, ""),
        (OSError(28, "No space left on device"), 1, "No space left on device\n"),
        (UnreachableError("no way", why="far away"), 1, "no way\n  why: far away\n"),
        (
            ZeroDivisionError("secret"),
            1,
            (
                "unexpected ZeroDivisionError at notarypy.cli.dockertrust.shell:LINE\n"
                "  why: this is a defect of notarypy\n"
            ),
        ),
    ],
)
def test_nothing_leaves_as_a_traceback(
    docker_trust: Run, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, text: str
) -> None:
    def fail(_: shell.Shell) -> Client:
        raise raised

    monkeypatch.setattr(shell, "open_client", fail)
    told = docker_trust("sign", f"{REPO}:1").expect(code).err
    assert re.sub(r":\d+\n", ":LINE\n", told) == text


def test_output_from_outside_is_made_safe(docker_trust: Run) -> None:
    outcome = docker_trust("key", "load", "a\x1b[31mb").expect(1)
    assert "\x1b" not in outcome.out + outcome.err
    assert "\x1b" not in docker_trust("\x1b[31m").expect(1).err


def test_docker_runs_it_with_words_of_its_own(docker_trust: Run, signed: str, home: Path) -> None:
    moved = (home / ".docker").rename(home / "elsewhere")
    for words in (["--config", moved], [f"--config={moved}", "-D", "--tls", "-l", "info"]):
        outcome = docker_trust(*words, "trust", "inspect", REPO).expect(0)
        assert outcome.document[0]["SignedTags"][0]["Digest"] == signed[7:]
    assert not (home / ".docker").exists()
    assert docker_trust("help", "trust").expect(0).out.startswith("Usage:  docker trust COMMAND\n")
    assert docker_trust("trust", "sign").expect(1).err.startswith("docker: 'docker trust sign' requires")
    assert docker_trust("--nope", "trust").expect(125).err.startswith("unknown flag: --nope\n")


def test_what_docker_asks_a_plugin(docker_trust: Run) -> None:
    found = docker_trust("docker-cli-plugin-metadata").expect(0).document
    assert (found["SchemaVersion"], found["Vendor"]) == ("0.1.0", "notarypy")
    assert found["ShortDescription"]


def test_a_plugin_of_another_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.start(["/folder/docker-dct", "dct", "sign"]) == 1
    assert capsys.readouterr().err.startswith("docker: 'docker dct sign' requires 1 argument\n")


def test_a_command_of_notarypy(run: Run, docker_trust: Run, signed: str) -> None:
    assert signed[7:] in docker_trust("inspect", REPO).expect(0).out
    assert run("docker-trust", "sign", "--nope").expect(125).err.startswith("unknown flag: --nope\n")
    outcome = run("--server", "https://127.0.0.1:1", "docker-trust", "inspect", f"{REPO}:1").expect(1)
    assert outcome.out == "[]\n"
    assert run("docker-trust").expect(0).err.startswith("Usage:  notarypy docker-trust COMMAND\n")
    assert run("--json", "docker-trust", "inspect", REPO).expect(2).document["error"]["code"] == "usage"


# -- advice ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [False, True])
def test_only_what_docker_trust_has_is_advised(home: Path, *, pair: bool) -> None:
    found = servers.find([home], "n:5000", None, None, options=True)
    advised = found.client_advice if pair else found.advice
    error = TlsError("n is not trusted", advice=advised)
    assert "--tls" in advice(error)
    text = shell.error_text(error)
    assert f"\n  fix: {'put X.cert and X.key into' if pair else 'copy the CA certificate'}" in text
    assert str(home / "n:5000") in text
    assert "--" not in text


def test_a_broken_docker_config_is_to_be_mended(docker_trust: Run, home: Path, fake: Fake) -> None:
    push(fake, "1")
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text('{"auths": []}')
    err = docker_trust("sign", f"{REPO}:1").expect(1).err
    assert '"auths" is not an object' in err
    assert f"fix: mend {home / '.docker' / 'config.json'}" in err


def test_what_is_said_after_a_passphrase_without_an_answer_has_its_own_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(*_: object) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", ended)
    with pytest.raises(EOFError):
        shell.Shell({}, name="docker trust")._typed("Passphrase: ")  # noqa: SLF001 - asks at a terminal alone
    assert capsys.readouterr().out == "Passphrase: \n"
