"""What `migrate policy` writes, read as the programs read it: by schema, by their rules of names, by Rego."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import opa_eval
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notarypy.client.migrate.equivalent import KINDS
from notarypy.client.migrate.policies.rules import Group, NamedKey, Rule
from notarypy.errors import UsageError
from notarypy.kubernetes import yamltext
from support.policyreaders import READERS, documents
from support.schema import problems

if TYPE_CHECKING:
    from notarypy.client.results import PolicyFiles

SCHEMAS = json.loads((Path(__file__).parents[2] / "fixtures" / "policies" / "schemas.json").read_text())
D = "sha256:" + "0" * 64
OTHERS = Rule("*", "refuse")
YAML_KINDS = ("kyverno", "policy-controller", "connaisseur", "ratify")


def pem() -> str:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


RELEASE, CI, ALICE, BOB, CAROL = (
    NamedKey(name, pem()) for name in ("release", "ci", "alice", "bob", "carol")
)
FULL = (Group((RELEASE,)), Group((CI,)), Group((ALICE, BOB, CAROL), 2))


def rule(prefix: str, *groups: Group, alone: bool = False) -> Rule:
    return Rule(prefix, "verify", groups or (Group((RELEASE,)),), alone=alone)


def written(kind: str, *rules: Rule, notes: Sequence[str] = ()) -> PolicyFiles:
    return KINDS[kind]([*rules, *([] if rules[-1].prefix == "*" else [OTHERS])], notes)


# -- schemas


@pytest.mark.parametrize("kind", YAML_KINDS)
def test_each_document_has_the_members_that_its_program_knows(kind: str) -> None:
    audited = Rule("registry.test/sandbox", "verify", (Group((RELEASE,)),), (Group((CI,)),))
    accepted, narrow = Rule("localhost:5000", "accept"), rule("docker.io/library", *FULL)
    made = written(kind, rule("registry.test:5000/team", *FULL), audited, accepted, narrow)
    for document in documents(made):
        if document.get("kind") != "ConfigMap":
            assert problems(document, SCHEMAS[document.get("kind", "values")]) == []
    assert all(f"# {note[:40]}" in next(iter(made.files.values())) for note in made.notes)


def test_the_containers_policy_has_the_members_that_podman_knows() -> None:
    made = written("containers", rule("registry.test:5000/team", *FULL), Rule("localhost", "accept"))
    policy = json.loads(made.files["policy.json"])
    assert problems(policy, SCHEMAS["policy.json"]) == []
    for scopes in policy["transports"].values():
        for requirements in scopes.values():
            assert problems(requirements, SCHEMAS["requirements"]) == []


# -- which names a rule is for

NAMES = [
    ("registry.test/team", "registry.test/team:1", True),
    ("registry.test/team", f"registry.test/team@{D}", True),
    ("registry.test/team", "registry.test/team/app:1", True),
    ("registry.test/team", "registry.test/team/sub/app:1", True),
    ("registry.test/team", "registry.test/teams:1", False),
    ("registry.test/team", "registryXtest/team/app:1", False),
    ("registry.test/team", "registry.test:5000/team/app:1", False),
    ("registry.test/team", "evil.test/registry.test/team/app:1", False),
    ("registry.test", "registry.test/x:1", True),
    ("registry.test", "registry.test:5000/x:1", False),
    ("registry.test", "registry.test.evil.test/x:1", False),
    ("registry.test:5000", "registry.test:5000/x:1", True),
    ("registry.test:5000", "registry.test:50001/x:1", False),
    ("localhost:5000", "localhost:5000/a/b/c:1", True),
    ("docker.io/library", "docker.io/library/alpine:3", True),
    ("docker.io/library", "docker.io/team/alpine:3", False),
    ("docker.io/team", "docker.io/team/app:1", True),
    ("docker.io", "docker.io/library/alpine:3", True),
    ("docker.io", "quay.io/library/alpine:3", False),
]


def admitted(kind: str, name: str, *rules: Rule, signed: bool = True) -> bool:
    keys = frozenset({RELEASE.pem}) if signed else frozenset[str]()
    return READERS[kind](written(kind, *rules), name, keys)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(("prefix", "name", "wanted"), NAMES)
def test_a_rule_is_for_its_own_names_alone(kind: str, prefix: str, name: str, *, wanted: bool) -> None:
    if (kind, name) == ("connaisseur", "evil.test/registry.test/team/app:1"):
        wanted = True  # it anchors no pattern; the image must have been signed all the same
    assert admitted(kind, name, rule(prefix)) == wanted
    assert not admitted(kind, name, rule(prefix), signed=False)


@pytest.mark.parametrize("kind", READERS)
def test_a_repository_alone_is_not_what_is_below_it(kind: str) -> None:
    alone = rule("registry.test/app", alone=True)
    below = kind == "containers"  # whose scopes are all prefixes
    for name, wanted in ((":1", True), (f"@{D}", True), ("le:1", False), ("/sub:1", below)):
        assert admitted(kind, f"registry.test/app{name}", alone) == wanted


@pytest.mark.parametrize(
    ("prefix", "name", "wanted"),
    [
        ("docker.io/library", "alpine", True),
        ("docker.io/library", "alpine:3", True),
        ("docker.io/library", "library/alpine", True),
        ("docker.io/library", "index.docker.io/library/alpine", True),
        ("docker.io/library", "docker.io/alpine", True),
        ("docker.io/library", "team/alpine", False),
        ("docker.io/library", "localhost/alpine", False),
        ("docker.io/library/alpine", "alpine", True),
        ("docker.io/library/alpine", f"alpine@{D}", True),
        ("docker.io/library/alpine", "alpinelinux", False),
        ("docker.io/library/alpine", "alpine/git", False),
        ("docker.io/library/alpine", "docker.io/alpine/git", False),
        ("docker.io/library/alpine", "library/alpine/git", True),
        ("docker.io/library/alpine", "DOCKER.io:443/alpine:3", True),
        ("docker.io/library/alpine/git", "alpine/git", False),
        ("docker.io/library/alpine/git", "docker.io/library/alpine/git:1", True),
        ("docker.io", "localhost/x:1", False),
        ("docker.io", "my.image:1", True),
        ("registry.test", "Registry.TEST:0443/x:1", True),
        ("registry.test", "registry.test:444/x:1", False),
        ("registry.test:5000/team", "REGISTRY.test:05000/team/x:1", True),
        ("docker.io/team", "team/app:1", True),
        ("docker.io/team", "team:1", False),
        ("docker.io/team", "team.test/app", False),
        ("docker.io", "alpine", True),
        ("docker.io", "team/app", True),
        ("docker.io", "quay.io/team/app", False),
        ("docker.io", "registry:5000/app", False),
    ],
)
def test_names_in_all_their_forms(prefix: str, name: str, *, wanted: bool) -> None:
    assert admitted("kyverno", name, rule(prefix)) == wanted


def test_the_narrower_rule_counts_alone_where_a_program_can_say_that() -> None:
    wide, narrow = rule("registry.test"), Rule("registry.test/sandbox", "accept")
    for kind in ("containers", "kyverno", "connaisseur"):
        skips = kind != "connaisseur"
        assert admitted(kind, "registry.test/sandbox/x:1", wide, narrow, signed=False) == skips
        assert not admitted(kind, "registry.test/x:1", wide, narrow, signed=False)
    assert any("within it too" in note for note in written("policy-controller", wide, narrow).notes)
    with pytest.raises(UsageError, match="within"):
        written("ratify", wide, narrow)


def test_nothing_that_is_accepted_opens_another_registry_in_connaisseur() -> None:
    accepted = Rule("localhost:5000", "accept")
    for host in ("evil.test/localhost:5000", "evillocalhost:5000", "lolocalhost:5000"):
        assert not admitted("connaisseur", f"{host}/x:1", accepted)
    assert any("counts around localhost:5000" in note for note in written("connaisseur", accepted).notes)
    assert admitted("connaisseur", "localhost:5000/x:1", accepted, Rule("*", "accept"), signed=False)
    with pytest.raises(UsageError, match="no pattern"):
        written("connaisseur", rule("[::1]:5000/team"))


@pytest.mark.parametrize(("verdict", "wanted"), [("accept", "allow"), ("refuse", "deny")])
def test_the_rest_is_decided(verdict: Literal["accept", "refuse"], wanted: str) -> None:
    rest = Rule("*", verdict)
    *_, config = documents(written("policy-controller", rule("registry.test"), rest))
    assert config["data"] == {"no-match-policy": wanted}
    kinds = [one["kind"] for one in documents(written("kyverno", rule("registry.test"), rest))]
    assert ("ValidatingPolicy" in kinds) == (verdict == "refuse")
    policy = documents(written("connaisseur", rest))[0]["application"]["policy"]
    assert policy == [{"pattern": "*:*", "validator": wanted}]


@pytest.mark.parametrize("kind", [kind for kind in READERS if kind != "ratify"])
def test_what_no_rule_is_for_is_refused(kind: str) -> None:
    rules, skips = (rule("registry.test"), Rule("localhost:5000", "accept")), kind != "connaisseur"
    for name, wanted in (("registry.test/x:1", True), ("localhost:5000/x:1", skips), ("quay.io/x:1", False)):
        assert admitted(kind, name, *rules) == wanted


# -- how many keys


def met(alternatives: Sequence[Sequence[NamedKey]], signed: set[NamedKey]) -> bool:
    return all(signed & set(keys) for keys in alternatives)


def test_a_threshold_is_written_as_alternatives() -> None:
    group = Group((ALICE, BOB, CAROL), 2)
    assert not met(group.alternatives(), {ALICE})
    assert met(group.alternatives(), {ALICE, CAROL})
    with pytest.raises(UsageError, match="too many"):
        Group(tuple(NamedKey(str(n), "") for n in range(20)), 10).alternatives()


def test_each_kind_wants_all_groups() -> None:
    one = rule("registry.test", *FULL)
    policy = json.loads(written("containers", one).files["policy.json"])["transports"]["docker"]
    counts = [len(each.get("keyDatas", ["one"])) for each in policy["registry.test"]]
    assert counts == [1, 1, 2, 2, 2]
    first, *_ = documents(written("kyverno", one))
    wanted = [each["expression"].rpartition(">= ")[2] for each in first["spec"]["validations"]]
    assert wanted == ["1)", "1)", "2)"]
    images = [each for each in documents(written("policy-controller", one)) if each["kind"] != "ConfigMap"]
    assert [len(each["spec"]["authorities"]) for each in images] == [1, 1, 2, 2, 2]
    values = documents(written("connaisseur", one))[0]["application"]
    how = values["policy"][0]["with"]
    assert (how["threshold"], how["required"]) == (4, ["key1-release", "key2-ci"])
    resources = documents(written("ratify", one))
    assert sum(each["kind"] == "Verifier" for each in resources) == 5
    assert resources[-1]["spec"]["type"] == "rego-policy"


def test_connaisseur_counts_one_group_alone() -> None:
    overlapping = rule("registry.test", Group((ALICE,)), Group((ALICE, BOB), 1))
    policy = documents(written("connaisseur", overlapping))[0]["application"]["policy"]
    assert policy[0]["with"]["threshold"] == 1
    with pytest.raises(UsageError, match="two groups"):
        written("connaisseur", rule("registry.test", Group((ALICE, BOB)), Group((CI, CAROL))))


@pytest.mark.parametrize(
    ("reports", "valid"), [([True, True], True), ([True, False], False), ([True], False), ([], False)]
)
def test_ratify_wants_every_verifier(tmp_path: Path, reports: list[bool], *, valid: bool) -> None:
    resources = documents(written("ratify", rule("registry.test", Group((RELEASE,)), Group((CI,)))))
    path = tmp_path / "policy.rego"
    path.write_text(resources[-1]["spec"]["parameters"]["policy"])
    artifact = "application/vnd.dev.cosign.artifact.sig.v1+json"
    signed = {"artifactType": artifact, "verifierReports": [{"isSuccess": each} for each in reports]}
    asked = json.dumps({"verifierReports": [signed] if reports else []})
    assert opa_eval.OpaEval(str(path), query="data.ratify.policy.valid").evaluate_parsed(asked) is valid


# -- rego


def decision(path: Path, text: str, image: dict[str, Any] | None) -> dict[str, Any]:
    path.write_text(f"{text}\n\npin_image(image, digest) if digest\n")
    asked = {} if image is None else {"image": image}
    evaluated = opa_eval.OpaEval(str(path), query="data.docker.decision").evaluate_parsed(json.dumps(asked))
    assert isinstance(evaluated, dict)
    return evaluated


def image(repository: str, tag: str = "", digest: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"fullRepo": repository, "ref": repository}
    found |= {"tag": tag} if tag else {}
    return found | ({"checksum": digest, "isCanonical": True} if digest else {})


OTHER = "sha256:" + "1" * 64
ASKED = [
    (None, True),
    (image("registry.test/app", "1"), True),
    (image("registry.test/app", "2"), False),
    (image("registry.test/app", "1", D), True),
    (image("registry.test/app", "1", OTHER), False),
    (image("registry.test/app", "", OTHER), False),
    (image("registry.test/app", "", D), True),
    (image("registry.test/app/sub", "1"), False),
    (image("localhost:5000/x", "1"), True),
    (image("localhost:5000/strict/x", "1"), False),
    (image("localhost:50001/x", "1"), False),
    (image("docker.io/library/alpine", "3"), False),
]


@pytest.mark.parametrize(("asked", "allowed"), ASKED)
def test_rego_allows_what_was_released(
    tmp_path: Path, asked: dict[str, Any] | None, *, allowed: bool
) -> None:
    released = Rule("registry.test/app", "verify", alone=True, released={"1": D})
    rules = (released, Rule("localhost:5000", "accept"), Rule("localhost:5000/strict", "refuse"))
    found = decision(tmp_path / "p.rego", written("rego", *rules).files["Dockerfile.rego"], asked)
    assert found["allow"] is allowed
    assert bool(found["deny_msg"]) is not allowed


def test_rego_may_accept_the_rest(tmp_path: Path) -> None:
    text = written("rego", rule("registry.test/team"), Rule("*", "accept")).files["Dockerfile.rego"]
    for name, allowed in (("docker.io/library/alpine", True), ("registry.test/team/x", False)):
        assert decision(tmp_path / "p.rego", text, image(name, "1"))["allow"] is allowed


# -- hostile text

HOSTILE = [
    'x"\n- evil: true',
    "x'\n---\nkind: Evil",
    "x: {{ evil }} # y",
    "x\\u0022}]",
    "x\r\nevil\u2028\x85\x1b[31m",
    "*/ ]] %s {} ${x}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_ends_what_it_stands_in(text: str) -> None:
    value: Any = {"a": text, text: [text, {"b": [[text]]}], "n": 1, "t": True, "empty": [], "none": {}}
    assert yaml.safe_load(yamltext.document({"v": value})) == {"v": value}
    comment = yamltext.comment(text, text * 30)
    assert yaml.safe_load(comment) is None
    assert all(
        line.startswith("# ") and line.isascii() and line.isprintable() for line in comment[:-1].split("\n")
    )


@pytest.mark.parametrize(
    "text", ["yes", "null", "1", "1.5", "~", "", " x ", "x\n", "a\n\nb\n", "-", "?", "x\ny"]
)
def test_a_text_stays_a_text(text: str) -> None:
    assert yaml.safe_load(yamltext.document({"v": text, "l": [text]})) == {"v": text, "l": [text]}


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_names_change_nothing_but_themselves(kind: str, text: str, tmp_path: Path) -> None:
    hostile = NamedKey(text, RELEASE.pem)
    one = Rule(f"registry.test/{text}", "verify", (Group((hostile,)),), alone=True, released={text: D})
    try:
        made = written(kind, one, notes=(text,))
    except UsageError:
        assert kind in {"policy-controller", "ratify"} or (kind, "[" in text) == ("connaisseur", True)
        return
    for name, content in made.files.items():
        if name.endswith(".json"):
            assert f"registry.test/{text}" in json.loads(content)["transports"]["docker"]
        elif name.endswith(".rego"):
            found = decision(tmp_path / "p.rego", content, image(f"registry.test/{text}", text))
            assert found["allow"] is True
            assert decision(tmp_path / "p.rego", content, image("evil.test/x", "1"))["allow"] is False
        else:
            kinds = {each.get("kind") for each in yaml.safe_load_all(content)}
            assert "Evil" not in kinds


def test_keys_are_written_as_they_are() -> None:
    policy = json.loads(written("containers", rule("registry.test")).files["policy.json"])
    (required,) = policy["transports"]["docker"]["registry.test"]
    assert base64.b64decode(required["keyData"]).decode() == RELEASE.pem
    first, *_ = documents(written("kyverno", rule("registry.test")))
    assert first["spec"]["attestors"][0]["cosign"]["key"]["data"] == RELEASE.pem
