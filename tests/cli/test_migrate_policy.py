"""`migrate policy`: files, notes and exit codes, with repositories of the fake servers."""

from __future__ import annotations

import base64
import json
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notarypy.client.results import PolicyFiles
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.devserver.fakekeys import FakeKmsSigner
from notarypy.images.manifests import OCI_MANIFEST
from support.commands import written
from support.cosigner import Cosigner
from support.people import manifest
from support.policyreaders import READERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from notarypy.devserver.core import Fake
    from notarypy.keys.signers.base import SignerContext
    from notarypy.testing import FakeKms
    from support.commands import Run

REPO = f"{REGISTRY_HOST}/app"
REJECT = [{"type": "reject"}]


@pytest.fixture(autouse=True)
def keys(home: Path) -> None:
    for name in ("release", "ci", "alice", "bob"):
        write_key(home / f"{name}.pub")


def write_key(path: Path) -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def policy(home: Path, text: str) -> str:
    return written(home / "p.toml", text)


def test_a_trust_policy_becomes_that_of_podman(run: Run, home: Path) -> None:
    text = """
    [scope."registry.test:5000/team"]
    signers.all = ["ci"]
    signers.any = ["alice", "bob"]
    first_use = true
    [scope."localhost:5000"]
    mode = "skip"
    [scope."mirror.test/hub"]
    signed_as = "docker.io"
    """
    words = ["--policy", policy(home, text), "--key", "release.pub"]
    words += [word for name in ("ci", "alice", "bob") for word in ("--signer-key", f"{name}={name}.pub")]
    outcome = run("migrate", "policy", "--for", "containers", *words, "-o", "out").expect(0)
    assert outcome.out == "wrote out/policy.json\nwrote out/registries.d/notarypy.yaml\n"
    made = json.loads((home / "out" / "policy.json").read_text())
    scopes = made["transports"]["docker"]
    assert (made["default"], scopes[""]) == (REJECT, REJECT)
    assert scopes["localhost:5000"] == [{"type": "insecureAcceptAnything"}]
    encoded = {
        name: base64.b64encode((home / f"{name}.pub").read_bytes()).decode()
        for name in ("release", "ci", "alice", "bob")
    }
    assert scopes["registry.test:5000/team"] == [
        {"type": "sigstoreSigned", "keyData": encoded["release"]},
        {"type": "sigstoreSigned", "keyData": encoded["ci"]},
        {"type": "sigstoreSigned", "keyDatas": [encoded["alice"], encoded["bob"]]},
    ]
    identity = {"type": "remapIdentity", "prefix": "mirror.test/hub", "signedPrefix": "docker.io"}
    assert [one["signedIdentity"] for one in scopes["mirror.test/hub"]] == [identity]
    told = yaml.safe_load((home / "out" / "registries.d" / "notarypy.yaml").read_text())
    attached = {"use-sigstore-attachments": True}
    assert told == {"docker": {"mirror.test": attached, "registry.test:5000": attached}}
    assert "Debian 12" in outcome.err


@pytest.mark.usefixtures("fake")
def test_a_repository_is_read_for_its_signers(run: Run) -> None:
    run("key", "generate", "jeff").expect(0)
    run("delegate", "add", "--key", "jeff.pub", "--path", "v1", "jeff", REPO).expect(0)
    words = ("--for", "containers", "--all-signers", "-o", "out", REPO)
    outcome = run("migrate", "policy", "--signer-key", "ci=ci.pub", *words).expect(2)
    assert "no key is given for jeff" in outcome.err
    document = run("--json", "migrate", "policy", "--signer-key", "jeff=ci.pub", *words).expect(0).document
    (result,) = document["results"]
    assert any("jeff may sign only tags" in note for note in result["notes"])
    scopes = json.loads(result["files"][0]["text"])["transports"]["docker"]
    assert {name: len(required) for name, required in scopes.items()} == {"": 1, REPO: 1}
    assert scopes[REPO][0]["type"] == "sigstoreSigned"


def test_what_is_there_is_replaced_only_with_a_yes(run: Run, home: Path) -> None:
    words = ("--policy", policy(home, '[scope."*"]\n'), "--key", "release.pub", "-o", "out")
    run("migrate", "policy", "--for", "containers", *words).expect(0)
    run("migrate", "policy", "--for", "containers", *words).expect(2)
    run("migrate", "policy", "--yes", "--for", "containers", *words).expect(0)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--for", "nothing", "--key", "release.pub", REPO), 2, 'no kind "nothing"'),
        (("--for", "containers", REPO), 2, "no public key was given"),
        (("--for", "containers", "--key", "release.pub"), 12, "no scope of a trust policy"),
        (("--for", "containers", "--signer-key", "ci=", REPO), 2, "gives no key"),
        (("--for", "containers", "--signer-key", "CI=ci.pub", REPO), 2, "is not a signer name"),
        (("--for", "containers", "--key", "p.toml", REPO), 6, "key"),
    ],
)
def test_what_cannot_be_said(run: Run, home: Path, words: tuple[str, ...], code: int, text: str) -> None:
    policy(home, "")
    outcome = run("migrate", "policy", *words).expect(code)
    assert text in outcome.err


def test_two_files_do_not_fit_on_standard_output(run: Run, home: Path) -> None:
    path = policy(home, '[scope."*"]\n')
    outcome = run("migrate", "policy", "--for", "containers", "--key", "release.pub", "--policy", path)
    assert "takes 2 files" in outcome.expect(2).err
    words = ("--for", "containers", "--key", "release.pub", "--policy", path)
    (result,) = run("--json", "migrate", "policy", *words).expect(0).document["results"]
    assert [(each["path"], bool(each["text"])) for each in result["files"]] == [(None, True)] * 2


@pytest.mark.parametrize("kind", READERS)
def test_a_registry_stands_in_one_spelling(run: Run, home: Path, kind: str) -> None:
    scopes = '[scope."LocalHost:05828/team"]\n[scope."registry.corp:443"]\n'
    words = ("--for", kind, "--key", "release.pub", "-o", f"{kind}/", "--policy", policy(home, scopes))
    (result,) = run("--json", "migrate", "policy", *words).expect(0).document["results"]
    made = PolicyFiles(kind, {each["name"]: each["text"] for each in result["files"]}, ())
    signed = frozenset({(home / "release.pub").read_text()})
    for name in ("localhost:5828/team/x:1", "registry.corp/app:1"):
        assert READERS[kind](made, name, signed)
        assert not READERS[kind](made, name, frozenset())


KEYS = ("--key", "release.pub", "--signer-key", "ci=ci.pub")


@pytest.mark.parametrize("kind", ["kyverno", "policy-controller", "connaisseur", "ratify", "rego"])
def test_a_single_file_is_printed_or_written(run: Run, home: Path, kind: str) -> None:
    words = ("--for", kind, "--policy", policy(home, '[scope."registry.test"]\nsigners.all = ["ci"]\n'))
    printed = run("migrate", "policy", *words, *KEYS).expect(0)
    assert ("nothing requires" in printed.err) == (kind == "rego")  # it has no keys
    assert ("with no date and no end" in printed.out) == (kind != "rego")
    assert run("migrate", "policy", *words, *KEYS, "-o", "made").expect(0).out == "wrote made\n"
    assert (home / "made").read_text() == printed.out
    (home / "folder").mkdir()
    (result,) = (
        run("--json", "migrate", "policy", *words, *KEYS, "-o", "folder").expect(0).document["results"]
    )
    (file,) = result["files"]
    assert (home / file["path"]).read_text() == file["text"] == printed.out
    assert (home / file["path"]).stat().st_mode & 0o777 == 0o644


def test_audit_leaves_the_release_key_required(run: Run, home: Path) -> None:
    text = '[scope."registry.test"]\nmode = "audit"\nsigners.all = ["ci"]\n'
    words = ("--for", "policy-controller", "--policy", policy(home, text))
    found = list(yaml.safe_load_all(run("migrate", "policy", *words, *KEYS).expect(0).out))
    assert [each["spec"]["mode"] for each in found[:-1]] == ["enforce", "warn"]
    names = [each["spec"]["authorities"][0]["name"] for each in found[:-1]]
    assert names == ["key1-release", "key1-ci"]
    for kind, told in (("kyverno", False), ("connaisseur", True), ("ratify", True)):
        out = run("migrate", "policy", "--for", kind, *words[2:], *KEYS).expect(0).out
        assert ("what is only audited is left out (registry.test)" in out) == told


def test_a_signer_without_a_key_is_left_to_the_release_key(run: Run, home: Path) -> None:
    signers = 'signers.all = ["ci"]\nsigners.any = ["alice", "bob"]'
    text = f'[scope."registry.test"]\n{signers}\nmax_age.timestamp = "3d"\n'
    path = policy(home, text)
    words = ("--for", "kyverno", "--policy", path)
    out = run("migrate", "policy", *words, "--key", "release.pub").expect(0).out
    assert "registry.test requires ci, alice, bob, of whom no key is given" in " ".join(out.split("\n#  "))
    assert "has a max_age" in out
    alone = run("migrate", "policy", *words, "--signer-key", "ci=ci.pub", "--signer-key", "alice=alice.pub")
    assert alone.expect(0).out.count("verifyImageSignatures(") == 2
    lacking = run("migrate", "policy", *words, "--signer-key", "ci=ci.pub").expect(2)
    assert "no key is given for alice, bob" in lacking.err
    assert "--signer-key alice=PUB" in lacking.err


def test_one_key_does_not_count_for_two(run: Run, home: Path) -> None:
    text = '[scope."registry.test"]\nsigners.any = ["alice", "bob"]\nsigners.threshold = 2\n'
    words = ["--for", "kyverno", "--policy", policy(home, text), "--signer-key", "alice=ci.pub"]
    assert "cannot be counted" in run("migrate", "policy", *words, "--signer-key", "bob=ci.pub").expect(2).err
    twice = [*words, "--signer-key", "bob=bob.pub", "--signer-key", "bob=release.pub"]
    assert run("migrate", "policy", *twice).expect(0).out.count(") >= 1") == 2
    run("migrate", "policy", *words, "--signer-key", "bob=bob.pub").expect(0)


def test_a_key_that_nothing_requires_is_said(run: Run, home: Path) -> None:
    words = ("--for", "kyverno", "--policy", policy(home, '[scope."registry.test"]\n'), *KEYS)
    assert "nothing requires the signatures of ci" in run("migrate", "policy", *words).expect(0).err
    any_one = run("migrate", "policy", *words[:4], "--signer-key", "ci=ci.pub", "--signer-key", "bob=bob.pub")
    assert "[attestors.key1, attestors.key2]) >= 1" in any_one.expect(0).out


@pytest.mark.usefixtures("fake")
def test_repositories_stand_beside_what_is_skipped(run: Run, home: Path) -> None:
    run("init", REPO).expect(0)
    text = f"""
    [scope."{REPO}"]
    first_use = true
    [scope."*"]
    mode = "skip"
    [scope."other.test"]
    """
    words = ("--for", "containers", "--policy", policy(home, text), "--key", "release.pub", "-o", "out")
    run("migrate", "policy", *words, REPO).expect(0)
    scopes = json.loads((home / "out" / "policy.json").read_text())["transports"]["docker"]
    kinds = {name: [each["type"] for each in required] for name, required in scopes.items()}
    assert kinds == {"": ["insecureAcceptAnything"], REPO: ["sigstoreSigned"], "other.test": ["reject"]}
    for repos in ((), (REPO,)):  # what the command line requires is required of what would be skipped
        run("migrate", "policy", "--yes", *words, "--signer", "ci", *repos).expect(0)
        assert (
            "insecureAcceptAnything"
            not in (home / "out" / "policy.json").read_text().partition('"containers-')[0]
        )


@pytest.mark.usefixtures("fake")
def test_rego_has_what_meets_the_policy_now(run: Run, home: Path, fake: Fake) -> None:
    digests = [fake.registry.push("app", tag, manifest(tag), OCI_MANIFEST) for tag in ("1", "2")]
    run("key", "generate", "jeff").expect(0)
    run("sign", "--init", f"{REPO}:1").expect(0)
    run("signer", "add", "--key", "jeff.pub", "jeff", REPO).expect(0)
    run("sign", f"{REPO}:2").expect(0)
    path = policy(home, f'[scope."{REPO}"]\nfirst_use = true\nsigners.all = ["jeff"]\n')
    out = run("migrate", "policy", "--for", "rego", "--policy", path, REPO).expect(0).out
    assert digests[1] in out
    assert digests[0] not in out
    assert f"1 of {REPO} is not among them" in out


def test_a_collection_is_no_image(run: Run) -> None:
    outcome = run("--gun", "migrate", "policy", "--for", "kyverno", *KEYS, "some/collection").expect(2)
    assert "--gun" in outcome.err


def test_what_cannot_be_written_is_said(run: Run, home: Path) -> None:
    written(home / "file", "")
    words = ("--for", "kyverno", "--policy", policy(home, '[scope."r.test"]\n'), "--key", "release.pub")
    assert "cannot make" in run("migrate", "policy", *words, "-o", "file/made").expect(1).err


@pytest.mark.usefixtures("fake")
def test_signers_may_go_on_with_the_keys_that_they_have(run: Run, home: Path) -> None:
    run("key", "generate", "jeff").expect(0)
    run("signer", "add", "--key", "jeff.pub", "jeff", REPO).expect(0)
    head = ("migrate", "policy", "--for", "kyverno")
    first, *_ = yaml.safe_load_all(run(*head, "--signer-key", "jeff", "--all-signers", REPO).expect(0).out)
    (attestor,) = first["spec"]["attestors"]
    assert attestor["cosign"]["key"]["data"] == (home / "jeff.pub").read_text().replace("role: jeff\n\n", "")
    assert "no key is known of bob" in run(*head, "--signer-key", "bob", REPO).expect(2).err
    beside = run(*head, "--signer-key", "bob", "--key", "release.pub", REPO).expect(0)
    assert "nothing requires the signatures of bob" in beside.err
    path = policy(home, f'[scope."{REPO}"]\nsigners.all = ["jeff"]\n')
    outcome = run(*head, "--signer-key", "jeff", "--policy", path).expect(2)
    assert "only a repository's delegations" in outcome.err


# -- what the trust policy requires of cosign

Signed = frozenset[str]
ALONE, BOTH = 'require = ["cosign"]\n', 'require = ["notary", "cosign"]\n'
EITHER = 'require_any = ["notary", "cosign"]\n'
BOB, CI = 'cosign.all = ["bob.pub"]\n', 'signers.all = ["ci"]\n'
SOME, TWO = 'cosign.any = ["alice.pub", "bob.pub"]\n', "cosign.threshold = 2\n"
PAIR = 'cosign.any = ["alice.pub", "bob.pub", "pair.pub"]\n'  # in which there are two keys
RELEASE = ("--key", "release.pub")


def two_of_three(by: Signed) -> bool:
    return sum(not by.isdisjoint(keys) for keys in (("alice",), ("bob",), ("ci", "extra"))) > 1


ADMITTED: list[tuple[str, tuple[str, ...], Callable[[Signed], bool]]] = [
    (ALONE + BOB, (), lambda by: "bob" in by),
    (ALONE + BOB, RELEASE, lambda by: "bob" in by),
    (f'{ALONE}cosign.all = ["pair.pub"]\n', (), lambda by: bool(by & {"ci", "extra"})),
    (ALONE + SOME, (), lambda by: bool(by & {"alice", "bob"})),
    (ALONE + SOME + TWO, (), lambda by: by >= {"alice", "bob"}),
    (ALONE + PAIR + TWO, (), two_of_three),
    (BOTH + BOB, RELEASE, lambda by: by >= {"release", "bob"}),
    (f'{BOTH}cosign.all = ["release.pub"]\n', RELEASE, lambda by: "release" in by),
    (BOTH + BOB + CI, KEYS, lambda by: by >= {"release", "bob", "ci"}),
    (f'{BOTH + BOB}mode = "audit"\n', RELEASE, lambda by: "release" in by),
    (EITHER + BOB, (), lambda by: "bob" in by),
    (EITHER + BOB, RELEASE, lambda by: bool(by & {"release", "bob"})),
    (EITHER + BOB + CI, KEYS, lambda by: by >= {"release", "ci"} or "bob" in by),
    (EITHER + BOB + CI, (*KEYS, "--signer", "ci"), lambda by: by >= {"release", "ci"}),
]


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(("text", "words", "admitted"), ADMITTED)
def test_what_is_required_of_cosign_is_required_elsewhere(
    run: Run, home: Path, kind: str, text: str, words: tuple[str, ...], admitted: Callable[[Signed], bool]
) -> None:
    write_key(home / "extra.pub")
    (home / "pair.pub").write_bytes((home / "ci.pub").read_bytes() + (home / "extra.pub").read_bytes())
    path = policy(home, f'[scope."registry.test"]\n{text}')
    outcome = run("--json", "migrate", "policy", "--for", kind, "--policy", path, *words, "-o", f"{kind}/")
    if kind == "connaisseur" and text in {ALONE + PAIR + TWO, EITHER + BOB + CI} and "--signer" not in words:
        assert "two groups" in outcome.expect(2).document["results"][0]["error"]["message"]
        return
    (result,) = outcome.expect(0).document["results"]
    made = PolicyFiles(kind, {each["name"]: each["text"] for each in result["files"]}, ())
    names = ("release", "ci", "extra", "alice", "bob")
    pems = {name: (home / f"{name}.pub").read_text() for name in names}
    for signers in (frozenset(some) for count in range(6) for some in combinations(names, count)):
        takes = READERS[kind](made, "registry.test/x:1", frozenset(pems[name] for name in signers))
        assert takes == admitted(signers), signers


@pytest.mark.parametrize(
    ("text", "words", "code", "told"),
    [
        (BOTH + BOB, (), 2, "a key has to stand for its word"),
        (ALONE + BOB, ("--signer", "ci"), 2, "a key has to stand for its word"),
        (f'{ALONE}cosign.all = ["p.toml"]\n', (), 2, "p.toml"),
        (ALONE + BOB, RELEASE, 0, "nothing requires the signatures of releases"),
        (EITHER + BOB, (), 0, "what Notary denies passes here"),
        ("signers.everyone = true", ("--signer-key", "ci=ci.pub"), 2, "nobody says who every signer"),
        ("signers.everyone = true", KEYS, 0, "nor is one of today whose key was not given"),
    ],
)
def test_what_cannot_be_said_of_cosign(
    run: Run, home: Path, text: str, words: tuple[str, ...], code: int, told: str
) -> None:
    path = policy(home, f'[scope."registry.test"]\n{text}\n')
    outcome = run("migrate", "policy", "--for", "kyverno", "--policy", path, *words).expect(code)
    assert told in " ".join((outcome.out + outcome.err).replace("\n# ", "").split())


def test_a_repository_that_has_left_notary_asks_no_server(run: Run, home: Path) -> None:
    path = policy(home, f'[scope."{REPO}"]\n{ALONE}{BOB}')
    words = ("--policy", path, REPO)
    first, *_ = yaml.safe_load_all(run("migrate", "policy", "--for", "kyverno", *words).expect(0).out)
    assert [each["cosign"]["key"]["data"] for each in first["spec"]["attestors"]] == [
        (home / "bob.pub").read_text()
    ]
    assert "nobody lists the tags" in run("migrate", "policy", "--for", "rego", *words).expect(2).err


@pytest.mark.parametrize("required", [BOTH, EITHER])
def test_rego_has_what_cosign_signed_where_that_is_required(
    run: Run, home: Path, fake: Fake, required: str
) -> None:
    digests = [fake.registry.push("app", tag, manifest(tag), OCI_MANIFEST) for tag in ("1", "2", "3")]
    run("sign", "--init", *(f"{REPO}:{tag}" for tag in "123")).expect(0)
    cosign = Cosigner(fake, "app")
    cosign.sign(digests[1], f"{REPO}:2")
    (home / "cosign.pub").write_bytes(cosign.pem)
    fake.registry.push("app", "3", manifest("moved"), OCI_MANIFEST)
    path = policy(home, f'[scope."{REPO}"]\nfirst_use = true\n{required}cosign.all = ["cosign.pub"]\n')
    out = run("migrate", "policy", "--for", "rego", "--policy", path, REPO).expect(0).out
    assert [digest in out for digest in digests] == [required == EITHER, True, False]
    assert f"3 of {REPO} is not among them" in out


def test_each_key_of_a_file_counts(run: Run, home: Path) -> None:
    (home / "both.pub").write_bytes((home / "ci.pub").read_bytes() + (home / "bob.pub").read_bytes())
    words = ("--for", "kyverno", "--policy", policy(home, '[scope."*"]\n'), "--key", "both.pub")
    first, *_ = yaml.safe_load_all(run("migrate", "policy", *words).expect(0).out)
    found = [each["cosign"]["key"]["data"] for each in first["spec"]["attestors"]]
    assert found == [(home / f"{name}.pub").read_text() for name in ("ci", "bob")]


@pytest.mark.usefixtures("fake")
def test_keys_at_uris_are_those_of_images(
    run: Run, fake_kms: FakeKms, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts: list[SignerContext] = []
    uri, opened = fake_kms.make("release", "rsa"), FakeKmsSigner.open

    def noting(uri: str, context: SignerContext) -> FakeKmsSigner:
        contexts.append(context)
        return opened(uri, context)

    monkeypatch.setattr(FakeKmsSigner, "open", noting)
    run("init", REPO).expect(0)
    run("migrate", "policy", "--for", "kyverno", "--key", uri, "--signer-key", f"ci={uri}", REPO).expect(0)
    run("migrate", "report", "--key", uri, REPO).expect(12)
    assert [context.cosign for context in contexts] == [True, True]
