"""Keys that are elsewhere, by every command: with the real client, its fake servers, and a fake KMS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.cli import userfiles
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.keys.signers.rootcertificate import root_certificate
from support.author import NOW
from support.commands import written

if TYPE_CHECKING:
    from notarypy.devserver.core import Fake
    from notarypy.testing import FakeKms
    from support.commands import Run

MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
REPO = f"{REGISTRY_HOST}/team/app"
PASSWORD = "correct horse battery"


@pytest.fixture
def kms(fake: Fake, fake_kms: FakeKms) -> FakeKms:
    """Return a KMS with a key for each role; the client is the real one."""
    part = {"mediaType": "application/octet-stream", "digest": f"sha256:{'0' * 64}", "size": 1}
    content = {"schemaVersion": 2, "mediaType": MEDIA_TYPE, "config": part, "layers": [part]}
    fake.registry.push("team/app", "1", json.dumps(content).encode(), MEDIA_TYPE)
    for name in ("root", "targets", "jeff"):
        fake_kms.make(name)
    return fake_kms


def _ids(kms: FakeKms) -> dict[str, str]:
    return {name: key.public.keyid for name, key in kms.keys.items()}


def _private(home: Path) -> list[str]:
    return sorted(path.name for path in (home / ".docker/trust/private").glob("[!.]*"))


# -- add, test, list


def test_adding_notes_where_a_key_is(run: Run, kms: FakeKms, home: Path) -> None:
    keyid = _ids(kms)["jeff"]
    outcome = run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    assert outcome.out == f"key {keyid} (jeff) stays where it is, and is at fakekms:jeff\n"
    outcome = run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    assert outcome.out == f"key {keyid} (jeff) was here already, and is at fakekms:jeff\n"
    assert run("key", "list").expect(0).out.splitlines()[1].split() == ["jeff", keyid, "fakekms:jeff"]
    assert _private(home) == [f"{keyid}.ref"]
    assert kms.requests == ["open jeff", "open jeff"]
    (result,) = run("--json", "key", "list").expect(0).document["results"]
    assert (result["uri"], result["encrypted"]) == ("fakekms:jeff", False)


@pytest.mark.parametrize(
    ("argv", "code", "text"),
    [
        (["jeff.pub"], 2, "does not say where a key is"),
        (["fakekms:one?pin-value=1234"], 2, "no PIN"),
        (["fakekms:one", "--name", "Jeff"], 2, "Jeff"),
        (["fakekms:one", "--name", "timestamp"], 2, "reserved"),
        (["clay:one"], 6, "keys at clay:"),
        (["fakekms:none"], 6, "no key none"),
    ],
)
def test_what_cannot_be_added(
    run: Run, kms: FakeKms, home: Path, argv: list[str], code: int, text: str
) -> None:
    assert text in run("key", "add", *argv).expect(code).err
    assert not list(home.rglob("*.ref"))
    assert not any(request.startswith("sign") for request in kms.requests)


@pytest.mark.parametrize("command", ["add", "test", "export", "passwd", "remove", "load", "import"])
def test_a_pin_on_the_command_line_is_never_repeated(run: Run, command: str) -> None:
    for name in ("pin-value", "pin%2Dvalue"):
        outcome = run("--json", "key", command, f"pkcs11:token=t?{name}=1234").expect(2)
        assert "1234" not in outcome.out + outcome.err


INVENTED = (
    *(
        "?pin-value={}",
        "?pin=%s",
        "?PIN_VALUE={}",
        ";pin={}",
        ";x-pin-value={}",
        "?{}",
        ";{}",
        ";object=a%3Dx{}",
    ),
    *("?pin-source=data:,{}", "?pin-source=|echo%20{}", "?module-path=/x.so&PIN={}", ";{}=1", "?a&b={} c {}"),
)
PLACES = (
    *(
        "key add {}",
        "key test {}",
        "key remove {} -y",
        "key export {}",
        "key export --public {}",
        "key passwd {}",
    ),
    *(
        "key load {}",
        "key import {}",
        "key generate jo --in {}",
        "key rename {} jo",
        "init --root-key {} r.io/a",
    ),
    *("init --targets-key {} r.io/a", "init --key {} r.io/a", "key rotate r.io/a targets --key {}"),
    *("signer add jo r.io/a --key {}", "delegate add r.io/a targets/jo --key {}"),
    *("docker-trust key load {}", "docker-trust signer add jo r.io/a --key {}"),
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "scheme",
    [
        "pkcs11:token=t 1",
        *(
            pytest.param(scheme, marks=pytest.mark.slow)
            for scheme in ("PKCS11:token=t", " pkcs11:token=t", "'pkcs11:", "clay:jeff")
        ),
    ],
)
def test_no_secret_in_a_uri_is_repeated(run: Run, kms: FakeKms, place: str, scheme: str) -> None:
    assert kms
    for form in INVENTED:
        uri = scheme + form.replace("%s", "{}").format("S3CRET", "S3CRET")
        words = [word.format(uri) for word in place.split()]
        options = ["-vv"] if words[0] == "docker-trust" else ["-vv", "--json"]
        for argv in (words, options + words):
            outcome = run(*argv)
            assert "S3CRET" not in outcome.out + outcome.err, argv


@pytest.mark.parametrize("command", ["load", "import"])
def test_a_uri_where_a_file_is_wanted(run: Run, kms: FakeKms, command: str) -> None:
    outcome = run("key", command, "fakekms:jeff").expect(2)
    assert f"what is {command}ed is a file" in outcome.err
    assert "notarypy key add URI" in outcome.err
    assert kms.requests == []


def test_a_key_is_not_added_under_another_name(run: Run, kms: FakeKms) -> None:
    run("key", "add", "fakekms:jeff").expect(0)
    outcome = run("key", "add", "fakekms:jeff", "--name", "jeff").expect(1)
    assert f"notarypy key rename {_ids(kms)['jeff'][:12]} jeff" in outcome.err


def test_a_key_that_is_noted_elsewhere_anew_says_where_it_was(run: Run, kms: FakeKms, home: Path) -> None:
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    [file] = home.rglob("*.ref")
    file.write_text(file.read_text().replace("fakekms:jeff", "fakekms:before"))
    outcome = run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    assert "(jeff) was at fakekms:before, and is at fakekms:jeff\n" in outcome.out
    assert kms


def test_testing_says_what_a_service_says(run: Run, kms: FakeKms) -> None:
    keyid = _ids(kms)["jeff"]
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    outcome = run("key", "test", "jeff").expect(0)
    assert outcome.out.startswith(f"key {keyid} (jeff) signs, and its signature is valid\n  type: ecdsa\n")
    kms.make("jeff")
    outcome = run("key", "test", "jeff").expect(6)
    assert "[key.changed]" in outcome.err
    assert "notarypy key add URI" in outcome.err


def test_testing_a_key_file(run: Run, kms: FakeKms) -> None:
    run("key", "generate", "jo").expect(0)
    assert "(jo) signs, and its signature is valid\n" in run("key", "test", "jo").expect(0).out
    run("key", "test", "jeff").expect(6)
    assert kms.requests == []


@pytest.mark.usefixtures("kms")
def test_a_uri_where_a_key_is_wanted(run: Run) -> None:
    outcome = run("key", "test", "fakekms:jeff").expect(6)
    assert "note where it is: notarypy key add URI" in outcome.err
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    run("key", "test", "fakekms:jeff").expect(0)
    outcome = run("key", "load", "fakekms:jeff").expect(2)
    assert "note where it is: notarypy key add URI" in outcome.err


@pytest.mark.parametrize(
    "argv",
    [
        ["key", "add", "fakekms:root"],
        ["key", "generate", "jo", "--in", "fakekms:jo"],
        ["key", "test", "jeff"],
        ["signer", "add", "--key", "fakekms:root", "jo", REPO],
    ],
)
def test_offline_no_service_is_asked(
    run: Run, kms: FakeKms, home: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    kms.requests.clear()
    outcome = run("--offline", *argv).expect(2)
    assert (
        "asks a server [usage]\n  why: --offline allows no request\n  fix: leave --offline out\n"
        in outcome.err
    )
    assert kms.requests == []
    assert not (home / "jo.pub").exists()
    assert len(run("--offline", "key", "list").expect(0).out.splitlines()) == 2
    assert "PUBLIC KEY" in run("--offline", "key", "export", "--public", "jeff").expect(0).out
    monkeypatch.setattr("notarypy.devserver.fakekeys.FakeKmsSigner.asks_network", False)
    run("--offline", "key", "test", "jeff").expect(0)


# -- generate


def test_a_key_is_made_elsewhere(run: Run, kms: FakeKms, home: Path) -> None:
    outcome = run("key", "generate", "jo", "--in", "fakekms:jo").expect(0)
    keyid = _ids(kms)["jo"]
    assert outcome.out == f"generated key {keyid} (jo); public key: jo.pub\nit is at fakekms:jo\n"
    assert b"role: jo" in (home / "jo.pub").read_bytes()
    run("key", "generate", "root", "--in", "fakekms:main", "--alg", "rsa").expect(0)
    assert (home / "root.pub").exists()
    assert run("key", "list").expect(0).out.count("fakekms:") == 2
    run("key", "generate", "root").expect(2)
    run("key", "generate", "timestamp", "--in", "fakekms:t").expect(2)


def test_a_key_that_is_made_is_named_where_its_public_half_cannot_be_written(
    run: Run, kms: FakeKms, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = userfiles.write_new

    def full(_: object, path: Path, data: bytes, *known: str) -> None:
        with Path("/dev/full").open("wb", buffering=0) as stream:
            filled(stream, path, data, *known)

    monkeypatch.setattr(userfiles, "write_new", full)
    outcome = run("key", "generate", "jo", "--in", "fakekms:jo").expect(1)
    assert "cannot write jo.pub [local.storage]\n  why: No space left on device\n" in outcome.err
    assert f"why: the key is made, and is {_ids(kms)['jo']} at fakekms:jo\n" in outcome.err


def test_a_key_that_cannot_be_made_leaves_nothing(run: Run, home: Path) -> None:
    run("key", "generate", "jo", "--in", "clay:jo").expect(6)
    assert not (home / "jo.pub").exists()


# -- a whole life


def test_every_role_may_be_elsewhere(run: Run, kms: FakeKms, home: Path) -> None:
    ids = _ids(kms)
    outcome = run("init", "--root-key", "fakekms:root", "--targets-key", "fakekms:targets", REPO).expect(0)
    assert "nothing replaces the root key if it is lost; it stays at fakekms:root\n" in outcome.out
    assert "key export" not in outcome.out
    outcome = run("signer", "add", "--key", "fakekms:jeff", "jeff", REPO).expect(0)
    assert "notarypy key add fakekms:jeff --name jeff" in outcome.out
    assert _private(home) == sorted(f"{ids[name]}.ref" for name in ("root", "targets"))
    run("sign", f"{REPO}:1").expect(6)
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    kms.requests.clear()
    run("sign", f"{REPO}:1").expect(0)
    assert kms.requests == ["sign jeff"] * 2  # the roles of jeff and of releases
    run("verify", f"{REPO}:1").expect(0)
    assert "root" in run("status", REPO).expect(0).out
    run("renew", REPO, "--role", "root", "--role", "targets").expect(0)
    run("revoke", f"{REPO}:1").expect(0)
    run("delegate", "remove", "jeff", REPO).expect(0)
    assert not list(home.rglob("*.key"))


def test_one_targets_key_serves_several_repositories(run: Run, kms: FakeKms, home: Path) -> None:
    repositories = [f"{REGISTRY_HOST}/team/{name}" for name in "abc"]
    options = ["--root-key", "fakekms:root", "--targets-key", "fakekms:targets"]
    run("init", *options, *repositories).expect(0)
    run("init", *options, *repositories).expect(0)
    run("init", "--targets-key", "targets", f"{REGISTRY_HOST}/team/d").expect(0)
    assert len(_private(home)) == 2
    assert kms.requests.count("open targets") == 2  # once in each of the first two
    outcome = run("init", "--targets-key", "fakekms:jeff", repositories[0]).expect(1)
    assert "its targets key is" in outcome.err
    assert len(_private(home)) == 2


def test_a_root_that_was_noted_is_the_root_key_of_what_is_new(run: Run, kms: FakeKms) -> None:
    run("key", "add", "fakekms:root", "--name", "root").expect(0)
    outcome = run("init", REPO).expect(0)
    assert f"root pin: {_ids(kms)['root']}\n" in outcome.out


def test_a_certificate_of_ones_own_carries_a_root_that_is_elsewhere(
    run: Run, kms: FakeKms, home: Path
) -> None:
    certificate = root_certificate(kms.keys["root"], REPO, NOW).public
    kms.requests.clear()
    options = "--root-key", "fakekms:root", "--root-cert", written(home / "root.crt", certificate)
    assert _ids(kms)["root"] in run("init", *options, REPO).expect(0).out
    assert kms.requests == ["open root", "sign root"]  # the root alone
    options = "--root-key", "fakekms:jeff", "--root-cert", written(home / "root.crt", certificate)
    assert "is for another key" in run("init", *options, f"{REPO}-b").expect(2).err
    assert len(list(home.rglob("*.ref"))) == 1


def test_what_is_made_for_nothing_is_not_noted(run: Run, kms: FakeKms, home: Path) -> None:
    run("init", "--root-key", "fakekms:root", "--targets-key", "fakekms:none", REPO).expect(6)
    run("init", "--root-key", "fakekms:root", "--targets-key", "fakekms:root", REPO).expect(2)
    kms.keys["root"].error = OSError("unplugged")
    run("init", "--root-key", "fakekms:root", "--targets-key", "fakekms:targets", REPO).expect(1)
    assert not list(home.rglob("*.ref"))


def test_a_first_signer_is_elsewhere(run: Run, kms: FakeKms, home: Path) -> None:
    run("init", "--signer", "jeff", "--key", "fakekms:jeff", REPO).expect(0)
    assert _ids(kms)["jeff"] in run("signer", "list", "--json", REPO).expect(0).out
    assert not list(home.rglob("*.ref"))


@pytest.mark.parametrize("role", ["root", "targets", "snapshot"])
def test_a_role_gets_a_key_that_is_elsewhere(run: Run, kms: FakeKms, role: str) -> None:
    kms.make("new")
    run("init", "--root-key", "fakekms:root", "--targets-key", "fakekms:targets", REPO).expect(0)
    run("sign", f"{REPO}:1").expect(0)
    run("key", "rotate", "--yes", REPO, role, "--key", "fakekms:new").expect(0)
    row = next(line for line in run("key", "list").expect(0).out.splitlines() if "fakekms:new" in line)
    gun = [] if role == "root" else [REPO]
    assert row.split() == [role, *gun, _ids(kms)["new"], "fakekms:new"]
    run("verify", f"{REPO}:1").expect(0)
    run("key", "rotate", "--yes", REPO, role, "--key", "fakekms:new").expect(0)


def test_a_rotation_that_fails_notes_nothing(run: Run, kms: FakeKms, home: Path) -> None:
    kms.make("new")
    run("init", "--root-key", "fakekms:root", REPO).expect(0)
    kms.make("root")  # what is there now is another key
    before = _private(home)
    run("key", "rotate", REPO, "targets", "--key", "fakekms:new").expect(6)
    assert _private(home) == before


# -- what only key files can do


def test_a_private_half_is_neither_exported_nor_encrypted(run: Run, kms: FakeKms, home: Path) -> None:
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    outcome = run("key", "export", "jeff", "-o", "jeff.pem").expect(6)
    assert "it is at fakekms:jeff" in outcome.err
    assert "stays where it is" in run("key", "passwd", "jeff").expect(6).err
    assert not (home / "jeff.pem").exists()
    assert kms.requests == ["open jeff"]


def test_an_export_of_keys_that_are_all_elsewhere_says_so(run: Run, kms: FakeKms, home: Path) -> None:
    kms.make("only")
    run("--trust-dir", "other", "key", "add", "fakekms:only", "--name", "jeff").expect(0)
    outcome = run("--trust-dir", "other", "key", "export", "--all", "-o", "all.pem").expect(6)
    assert f"no key of {home / 'other'} is in a file here" in outcome.err
    assert not (home / "all.pem").exists()


def test_a_public_half_is_exported(run: Run, kms: FakeKms, home: Path) -> None:
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    run("key", "export", "--public", "jeff", "-o", "jeff.pub").expect(0)
    assert b"-----BEGIN PUBLIC KEY-----\nrole: jeff\n" in (home / "jeff.pub").read_bytes()
    assert (home / "jeff.pub").stat().st_mode & 0o777 == 0o644
    run("signer", "add", "--key", "jeff.pub", "jeff", REPO).expect(0)
    run("sign", f"{REPO}:1").expect(0)
    assert kms.requests == ["open jeff", "sign jeff", "sign jeff"]
    run("key", "generate", "jo").expect(0)
    assert run("key", "export", "--public", "jo").expect(0).out == (home / "jo.pub").read_text()


def test_a_key_that_is_removed_stays_where_it_is(run: Run, kms: FakeKms, home: Path) -> None:
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    run("key", "generate", "jo").expect(0)
    outcome = run("key", "remove", "jeff").expect(2)
    assert "these keys are forgotten here, and stay where they are: jeff" in outcome.err
    outcome = run("key", "remove", "--yes", "jeff", "jo").expect(0)
    assert f"removed key {_ids(kms)['jeff']} (jeff) from here; it stays at fakekms:jeff\n" in outcome.out
    assert _private(home) == []


def test_a_root_that_is_needed_is_forgotten_by_force_only(run: Run, kms: FakeKms) -> None:
    run("init", "--root-key", "fakekms:root", REPO).expect(0)
    outcome = run("key", "remove", "--yes", "root").expect(6)
    assert "all that leads from here to a root key" in outcome.err
    assert "note down fakekms:root" in outcome.err
    run("key", "remove", "--yes", "--force", "root").expect(0)
    assert "root" in kms.keys


def test_a_file_of_a_key_that_is_noted_is_not_stored(run: Run, home: Path, kms: FakeKms) -> None:
    run("key", "generate", "jo").expect(0)
    keyid = _private(home)[0].removesuffix(".key")
    run("key", "export", "jo", "-o", "jo.pem").expect(0)
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    reference = home / ".docker/trust/private" / f"{_ids(kms)['jeff']}.ref"
    body = (home / "jo.pub").read_text().partition("\n\n")[2]
    run("key", "remove", "--yes", "jo").expect(0)
    written(
        reference.with_name(f"{keyid}.ref"),
        f"-----BEGIN PUBLIC KEY-----\nkeytype: ecdsa\nrole: jo\nuri: fakekms:jo\n\n{body}",
    )
    expected = f"key {keyid} (jo) is at fakekms:jo, and not stored; it was left as it is\n"
    assert run("key", "import", "jo.pem").expect(0).out == expected
    assert run("key", "load", "jo.pem").expect(0).out == expected
    assert not list(home.rglob("*.key"))


# -- docker's words, and the log


def test_docker_trust_uses_them(run: Run, kms: FakeKms, docker_trust: Run, home: Path) -> None:
    run("key", "add", "fakekms:root", "--name", "root").expect(0)
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    run("key", "export", "--public", "jeff", "-o", "jeff.pub").expect(0)
    docker_trust("signer", "add", "--key", "jeff.pub", "jeff", REPO).expect(0)
    assert "already" not in docker_trust("signer", "add", "--key", "fakekms:jeff", "jo", REPO).expect(0).err
    assert "no key none" in docker_trust("signer", "add", "--key", "fakekms:none", "bo", REPO).expect(1).err
    docker_trust("sign", f"{REPO}:1").expect(0)
    assert "jeff" in docker_trust("inspect", REPO).expect(0).out
    assert _ids(kms)["root"] in run("init", REPO).expect(0).out
    assert len(list(home.rglob("*.key"))) == 1  # that of targets
    docker_trust("revoke", f"{REPO}:1").expect(0)


def test_the_log_says_what_signs_and_where(run: Run, kms: FakeKms, home: Path) -> None:
    kms.pin = "13371337"
    written(home / "pins", "root=13371337\njeff=13371337\n")
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    outcome = run("-vv", "--passphrase-file", "pins", "key", "test", "jeff").expect(0)
    assert "FakeKmsSigner signs with key" in outcome.err
    assert "fakekms:jeff" in outcome.err
    assert kms.pin not in outcome.err


# -- a key of another role, and references that are damaged


def test_a_key_of_a_signer_is_taken_as_no_root_key(
    run: Run, kms: FakeKms, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "repository passphrase")
    short = _ids(kms)["jeff"][:12]
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    for keyref in ("jeff", short):
        outcome = run("init", "--root-key", keyref, REPO).expect(2)
        assert "is no root key [usage]\n  why: it is here as jeff\n" in outcome.err
        fix = f"notarypy key remove {short}; notarypy key add fakekms:jeff --name root"
        assert f"  fix: if it is to be: {fix}\n" in outcome.err
    run("init", "--root-key", "fakekms:jeff", REPO).expect(1)
    run("key", "generate", "jo").expect(0)
    assert "key load COPY --name root" in run("init", "--root-key", "jo", REPO).expect(2).err
    run("key", "export", "jo", "-o", "jo.pem").expect(0)
    assert "it says that it is jo\n" in run("init", "--root-key", "./jo.pem", REPO).expect(2).err
    assert "it says that it is jo\n" in run("init", "--targets-key", "./jo.pem", REPO).expect(2).err
    written(home / "bare.pem", b"".join((home / "jo.pem").read_bytes().partition(b"role: jo\n")[::2]))
    outcome = run("init", "--root-key", "./bare.pem", REPO).expect(2)
    assert "is no root key [usage]\n  why: it is here as jo\n" in outcome.err
    run("init", "--root-key", "fakekms:root", REPO).expect(0)
    assert "is no root key" in run("key", "rotate", "--yes", REPO, "root", "--key", "jo").expect(2).err
    run("key", "remove", "--yes", "jo").expect(0)
    run("key", "load", "jo.pem", "--name", "root").expect(0)
    run("key", "rotate", "--yes", REPO, "root", "--key", "./bare.pem").expect(0)


def test_one_key_for_two_roles_is_refused(run: Run, kms: FakeKms, home: Path) -> None:
    outcome = run("init", "--root-key", "fakekms:root", "--targets-key", "fakekms:root", REPO).expect(2)
    assert "one key cannot be both root and targets [usage]" in outcome.err
    assert _private(home) == []
    run("key", "add", "fakekms:root").expect(0)
    keyid = _ids(kms)["root"]
    outcome = run("key", "add", "fakekms:root", "--name", "root").expect(1)
    fix = f"notarypy key remove {keyid[:12]}; notarypy key add fakekms:root --name root"
    assert f"  fix: if it is to be: {fix}\n" in outcome.err


@pytest.mark.parametrize("damage", [b"", b"-----BEGIN", b"another"])
def test_a_damaged_reference_is_mended_or_removed(run: Run, kms: FakeKms, home: Path, damage: bytes) -> None:
    keyid = _ids(kms)["jeff"]
    path = home / f".docker/trust/private/{keyid}.ref"
    run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0)
    run("key", "add", "fakekms:root", "--name", "jo").expect(0)
    other = (path.parent / f"{_ids(kms)['root']}.ref").read_bytes()
    path.write_bytes(other if damage == b"another" else damage)
    outcome = run("key", "test", keyid[:12]).expect(6)
    fix = f"notarypy key add URI --name NAME; or forget it: notarypy key remove {keyid[:12]}\n"
    assert f"  fix: note it again: {fix}" in outcome.err
    assert "PEM" not in outcome.err.partition("fix:")[2]
    assert "stays where it is" in run("key", "add", "fakekms:jeff", "--name", "jeff").expect(0).out
    run("key", "test", "jeff").expect(0)
    path.write_bytes(damage)
    run("key", "remove", "--yes", keyid[:12]).expect(0)
    assert not path.exists()


def test_a_damaged_key_file_is_mended_or_removed(run: Run, kms: FakeKms, home: Path) -> None:
    run("key", "generate", "jo").expect(0)
    run("key", "export", "jo", "-o", "jo.pem").expect(0)
    (name,) = _private(home)
    path, keyid = home / ".docker/trust/private" / name, name.removesuffix(".key")
    path.write_bytes(b"-----BEGIN")
    outcome = run("key", "test", keyid[:12]).expect(6)
    assert "or from a copy: notarypy key load FILE; or give it up" in outcome.err
    for verb in ("load", "import"):
        path.write_bytes(b"-----BEGIN")
        run("key", verb, "jo.pem").expect(0)
        run("key", "test", "jo").expect(0)
    path.write_bytes(b"")
    run("key", "remove", "--yes", keyid[:12]).expect(0)
    assert not path.exists()
    assert kms.requests == []
