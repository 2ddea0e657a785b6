"""What `migrate policy` writes, read as the programs read it: by schema, by their rules of names, by Rego."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import opa_eval
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from notarypy.client.migrate.equivalent import KINDS
from notarypy.client.migrate.policies import imagenames, yamltext
from notarypy.client.migrate.policies.rules import Group, NamedKey, Rule
from notarypy.errors import UsageError
from support.schema import problems

if TYPE_CHECKING:
    from notarypy.client.migrate.policies.rules import Written

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


def written(kind: str, *rules: Rule, notes: Sequence[str] = ()) -> Written:
    return KINDS[kind]([*rules, *([] if rules[-1].prefix == "*" else [OTHERS])], notes)


def documents(made: Written) -> list[Any]:
    (text,) = made.files.values()
    return list(yaml.safe_load_all(text))


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


def by_kyverno(rules: Sequence[Rule]) -> Callable[[str], bool]:
    made = written("kyverno", *rules)
    policies = [one for one in documents(made) if one["kind"] == "ImageValidatingPolicy"]
    (match,) = policies[0]["spec"]["matchImageReferences"]
    return lambda name: all(fits(part, name) for part in match["expression"].split(" && "))


def fits(part: str, name: str) -> bool:
    found = re.fullmatch(r'(!?)(?:ref|image)\.matches\((".*")\)', part)
    assert found, part
    return bool(re.search(json.loads(found[2]), name)) != bool(found[1])


def by_policy_controller(rules: Sequence[Rule]) -> Callable[[str], bool]:
    globs = [image["glob"] for image in documents(written("policy-controller", *rules))[0]["spec"]["images"]]
    assert all(re.fullmatch(r"[a-zA-Z0-9-_:/*.@]+", glob) for glob in globs)
    patterns = [re.escape(glob).replace(r"\*\*", ".*") for glob in globs]
    return lambda name: any(
        re.fullmatch(pattern, re.sub(r"^docker\.io/", "index.docker.io/", name)) for pattern in patterns
    )


def by_connaisseur(rules: Sequence[Rule]) -> Callable[[str], bool]:
    policy = documents(written("connaisseur", *rules))[0]["application"]["policy"]
    validator = policy[0]["validator"]

    def chosen(name: str) -> bool:
        best: tuple[tuple[int, list[int], list[int]], str] = ((0, [], []), "")
        for each in policy:
            pattern = each["pattern"]
            anchored = pattern if pattern.startswith("*") else f"*{pattern}"
            anchored = anchored if anchored.endswith("*") else f"{anchored}*"
            if not re.fullmatch(re.escape(anchored).replace(r"\*", ".*"), name):
                continue
            parts, names = pattern.split("/"), name.split("/")
            common = [shared(part, other) for part, other in zip(parts, names, strict=False)]
            best = max(best, ((len(parts), common, list(map(len, parts))), each["validator"]))
        return best[1] == str(validator)

    return chosen


def shared(text: str, other: str) -> int:
    pairs = zip(text, other, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def by_ratify(rules: Sequence[Rule]) -> Callable[[str], bool]:
    verifier = next(one for one in documents(written("ratify", *rules)) if one["kind"] == "Verifier")
    scopes = verifier["spec"]["parameters"]["trustPolicies"][0]["scopes"]
    assert all(re.fullmatch(r"[a-z0-9.:@/-]*\*?", scope) for scope in scopes)
    return lambda name: any(name.startswith(scope.removesuffix("*")) for scope in scopes)


def by_containers(rules: Sequence[Rule]) -> Callable[[str], bool]:
    scopes = json.loads(written("containers", *rules).files["policy.json"])["transports"]["docker"]
    (prefix,) = (one for one in scopes if one)

    def inside(name: str) -> bool:
        repository = re.sub(r"(:[^:/]*)?(@.*)?$", "", name)
        parents = [repository[: at.start()] for at in re.finditer("/", repository)]
        return prefix in [repository, *parents]

    return inside


READERS = {
    "containers": by_containers,
    "kyverno": by_kyverno,
    "policy-controller": by_policy_controller,
    "connaisseur": by_connaisseur,
    "ratify": by_ratify,
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize(("prefix", "name", "wanted"), NAMES)
def test_a_rule_is_for_its_own_names_alone(kind: str, prefix: str, name: str, *, wanted: bool) -> None:
    if (kind, name) == ("connaisseur", "evil.test/registry.test/team/app:1"):
        wanted = True  # it anchors no pattern; the image must have been signed all the same
    assert READERS[kind]([rule(prefix)])(name) == wanted


@pytest.mark.parametrize("kind", READERS)
def test_a_repository_alone_is_not_what_is_below_it(kind: str) -> None:
    reads = READERS[kind]([rule("registry.test/app", alone=True)])
    assert reads("registry.test/app:1")
    assert reads(f"registry.test/app@{D}")
    assert not reads("registry.test/apple:1")
    assert reads("registry.test/app/sub:1") == (kind == "containers")  # whose scopes are all prefixes


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
        ("docker.io/team", "team/app:1", True),
        ("docker.io/team", "team:1", False),
        ("docker.io/team", "team.test/app", False),
        ("docker.io", "alpine", True),
        ("docker.io", "team/app", True),
        ("docker.io", "quay.io/team/app", False),
        ("docker.io", "registry:5000/app", False),
    ],
)
def test_names_of_docker_hub_in_all_their_forms(prefix: str, name: str, *, wanted: bool) -> None:
    assert bool(re.search(imagenames.expression(rule(prefix)), name)) == wanted


def test_the_narrower_rule_counts_alone_where_a_program_can_say_that() -> None:
    wide, narrow = rule("registry.test"), Rule("registry.test/sandbox", "accept")
    inside, outside = "registry.test/sandbox/x:1", "registry.test/x:1"
    for kind in ("kyverno", "connaisseur"):
        reads = READERS[kind]([wide, narrow])
        assert (reads(outside), reads(inside)) == (True, False)
    assert any("within it too" in note for note in written("policy-controller", wide, narrow).notes)
    with pytest.raises(UsageError, match="within"):
        written("ratify", wide, narrow)


def test_nothing_that_is_accepted_opens_another_registry_in_connaisseur() -> None:
    policy = documents(written("connaisseur", Rule("localhost:5000", "accept")))[0]["application"]["policy"]
    assert [(each["pattern"], each["validator"]) for each in policy] == [
        ("localhost:5000/*", "allow"), ("*/localhost:5000/*", "deny"), ("*:*", "deny"),
    ]  # fmt: skip
    assert not by_connaisseur([Rule("localhost:5000", "accept")])("evil.test/localhost:5000/x:1")


@pytest.mark.parametrize(("verdict", "wanted"), [("accept", "allow"), ("refuse", "deny")])
def test_the_rest_is_decided(verdict: Literal["accept", "refuse"], wanted: str) -> None:
    rest = Rule("*", verdict)
    *_, config = documents(written("policy-controller", rule("registry.test"), rest))
    assert config["data"] == {"no-match-policy": wanted}
    kinds = [one["kind"] for one in documents(written("kyverno", rule("registry.test"), rest))]
    assert ("ValidatingPolicy" in kinds) == (verdict == "refuse")
    policy = documents(written("connaisseur", rest))[0]["application"]["policy"]
    assert policy == [{"pattern": "*:*", "validator": wanted}]


def test_kyverno_refuses_what_no_rule_is_for() -> None:
    *_, last = documents(written("kyverno", rule("registry.test"), Rule("localhost:5000", "accept")))
    expression = last["spec"]["validations"][0]["expression"]
    parts = re.findall(r'!image\.matches\("(?:[^"\\]|\\.)*"\)', expression)
    assert len(parts) == 2
    for name, refused in (("registry.test/x", False), ("localhost:5000/x", False), ("quay.io/x", True)):
        assert all(fits(part, name) for part in parts) == refused


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
        assert kind in {"policy-controller", "ratify"}
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
