"""Limits stand in one place, and those of a client govern what it reads."""

from __future__ import annotations

import ast
import re
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest

import notarypy
from notarypy.errors import (
    CacheDamagedError,
    MetadataError,
    MetadataLimitError,
    ResponseLimitError,
    VerificationError,
)
from notarypy.limits import DEFAULT, Limits, within
from notarypy.storage.images import locations
from support import layouts
from support.author import GUN
from support.people import REGISTRY_PATH, World
from support.sources import FILES, name_of, tree
from support.stage import Stage

REF = f"{GUN}:1"
SAYS_LIMIT = re.compile(r"(?:^|_)(?:LIMIT|MAX|MOST|LONGEST|DEEPEST)")
# No limits on what is received: fixed by a format or by another program, or about what is sent or shown.
OTHERS = {
    "notarypy/cli/text/recoverysheet.py": {"LONGEST_CODE", "_MOST_PINS"},  # what is written
    "notarypy/cli/text/render.py": {"MAX_LINE"},  # what is shown
    "notarypy/client/publish/republishing.py": {"MOST_UPDATES"},  # what is sent
    "notarypy/client/migrate/policies/rules.py": {"_MOST_ALTERNATIVES"},  # what is written
    "notarypy/devserver/https.py": {"BODY_LIMIT"},  # a server's own
    "notarypy/images/reference.py": {"_MAX_NAME", "_MAX_PORT"},  # docker's references, TCP
    "notarypy/kubernetes/deployment.py": {"_MOST_APPLIED"},  # kubectl's own
    "notarypy/kubernetes/installation.py": {
        "_LONGEST_SUBDOMAIN",
        "_MOST_AUTHORITIES",
        "_MOST_IN_CONFIG_MAP",
    },  # Kubernetes' own
    "notarypy/remote/verificationservice.py": {"_MOST_STEPS"},  # as Linux follows links
    "notarypy/tuf/canonical.py": {"MAX_INTEGER", "_MAX_DIGITS"},  # what every JSON reader holds exactly
    "notarypy/tuf/fields.py": {"MAX_VERSION"},  # Go's integers
    "notarypy/tuf/keyobjects.py": {"MAX_RSA_BITS", "MAX_RSA_EXPONENT"},  # keys that Go verifies with
    "notarypy/tuf/roles.py": {"_MAX_BYTES"},  # names of files
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage(world)


# -- the value


@pytest.mark.parametrize("mebibytes", [256, 512, 1024, 3072, 1 << 20])
def test_a_service_keeps_to_its_memory(mebibytes: int) -> None:
    memory = mebibytes << 20
    found = within(memory)
    read = 2 * 16 * found.memory_bytes // 10
    beside = found.memory_bytes, found.kept_bytes
    rest = found.remembered_bytes + found.requests_bytes
    assert read + max(beside) + rest <= memory * 7 // 8
    assert (found == DEFAULT) == (mebibytes >= 3072)


def test_limits_are_given_by_name_and_do_not_change() -> None:
    found = Limits(root_bytes=10)
    assert (found.root_bytes, found.timestamp_bytes) == (10, DEFAULT.timestamp_bytes)
    assert replace(found, signatures=3) == Limits(signatures=3, root_bytes=10) != found
    assert hash(Limits(root_bytes=10)) == hash(found)
    assert repr(replace(found, signatures=3)) == "Limits(root_bytes=10, signatures=3)"
    assert Limits(root_bytes=DEFAULT.root_bytes) == DEFAULT == notarypy.Limits()
    with pytest.raises(FrozenInstanceError):
        found.root_bytes = 11  # type: ignore[misc]
    with pytest.raises(TypeError, match="no limit is called roots"):
        Limits(roots=1)  # type: ignore[call-arg]
    assert all(getattr(DEFAULT, field.name) > 0 for field in fields(DEFAULT))


def constants(path: Path) -> set[str]:
    """Return the upper-case names of a module that stand for integers."""
    found = set()
    for node in tree(path).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and target.id.isupper() and value is not None:
            leaves = [
                leaf for leaf in ast.walk(value) if isinstance(leaf, ast.Constant | ast.Name | ast.Call)
            ]
            if all(isinstance(leaf, ast.Constant) and type(leaf.value) is int for leaf in leaves):
                found.add(target.id)
    return found


def test_no_other_module_has_a_limit() -> None:
    found = {
        name_of(path): set(filter(SAYS_LIMIT.search, constants(path)))
        for path in FILES
        if path.name != "limits.py"
    }
    assert {name: names for name, names in found.items() if names} == OTHERS


# -- a client's own


@pytest.mark.parametrize("field", ["root_bytes", "timestamp_bytes", "metadata_bytes"])
def test_a_client_takes_no_longer_files_than_it_is_told(stage: Stage, field: str) -> None:
    with pytest.raises((ResponseLimitError, MetadataLimitError)):
        stage.reader.client(limits=Limits(**{field: 100})).verify(REF, registry=False)
    assert stage.reader.client().verify(REF, registry=False).tag == "1"


def test_a_cached_root_has_the_limit_of_a_root(stage: Stage) -> None:
    stage.know()
    with pytest.raises(CacheDamagedError, match="the trusted root"):
        stage.reader.client(limits=Limits(root_bytes=100)).verify(REF, registry=False)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(delegations_in_file=1),
        Limits(keys_of_role=0),
        Limits(public_key_bytes=10),
        Limits(signatures=0),
        Limits(json_parts=10),
        Limits(json_levels=2),
        Limits(json_wide_bytes=10, json_parts=1),
        Limits(memory_bytes=10),
    ],
    ids=repr,
)
def test_a_client_takes_no_more_in_files_than_it_is_told(stage: Stage, limits: Limits) -> None:
    with pytest.raises(VerificationError):
        stage.reader.client(limits=limits).verify(REF, registry=False)
    assert stage.reader.client().verify(REF, registry=False).tag == "1"


@pytest.mark.parametrize("limits", [Limits(delegations=1), Limits(delegation_levels=0)], ids=repr)
def test_a_client_loads_no_more_delegations_than_it_is_told(stage: Stage, limits: Limits) -> None:
    few = stage.reader.client(limits=limits).delegations(GUN)
    assert any("too many" in entry.problem for entry in few)
    assert not any(entry.problem for entry in stage.reader.client().delegations(GUN))


def test_a_client_tries_no_more_signatures_of_a_key_than_it_is_told(stage: Stage) -> None:
    with pytest.raises(notarypy.TrustError, match="not signed by enough"):
        stage.reader.client(limits=Limits(tries_of_key=0)).verify(REF, registry=False)


def test_a_client_takes_no_longer_manifests_than_it_is_told(stage: Stage) -> None:
    with pytest.raises(ResponseLimitError):
        stage.reader.client(limits=Limits(manifest_bytes=10)).verify(REF)
    assert stage.reader.client().verify(REF).tag == "1"


def test_a_client_may_take_longer_manifests_everywhere(world: World, tmp_path: Path) -> None:
    limits = Limits(manifest_bytes=8 << 20)
    made = layouts.image(b"layer", note="x" * (5 << 20))
    for blob in made.blobs:
        world.fake.registry.put_blob(REGISTRY_PATH, blob)
    digest = world.fake.registry.push(REGISTRY_PATH, "1", made.top, made.media_type)
    client = world.person().client(limits=limits)
    client.init(GUN)
    client.sign([REF])
    assert client.verify(REF).digest == digest
    assert client.images.pull(REF, f"oci-archive:{tmp_path / 'pulled.tar'}").stored == digest
    place = locations.source(f"oci-archive:{tmp_path / 'pulled.tar'}")
    assert locations.open_source(place, limits).tree.top.data == made.top
    with pytest.raises(MetadataError):
        locations.open_source(place)


def test_a_client_takes_no_larger_archives_than_it_is_told(world: World, tmp_path: Path) -> None:
    made = layouts.image(b"layer")
    source = f"oci-archive:{layouts.archive(tmp_path / 'a.tar', layouts.files(made, '1'))}"
    with pytest.raises(MetadataError) as caught:
        world.person().client(limits=Limits(archive_entries=2)).images.push(source, REF)
    assert "more than 2 entries" in caught.value.why[0]
    assert world.person().client().images.push(source, REF).tag == "1"


def test_a_client_from_the_environment_has_its_limits(tmp_path: Path) -> None:
    limits = Limits(delegations=1)
    with notarypy.Client.from_environment({"HOME": str(tmp_path)}, limits=limits) as client:
        assert vars(client)["_session"].limits is limits
