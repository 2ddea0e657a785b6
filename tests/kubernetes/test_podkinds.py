"""The tables of kinds, against the published schemas of several releases of Kubernetes."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest

from notarypy.images.workloads import podkinds

if TYPE_CHECKING:
    from collections.abc import Iterator

RELEASES = ("1.25", "1.31", "1.34", "1.37")
SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
POD_SPEC = "io.k8s.api.core.v1.PodSpec"
# A block device of Ceph, which is also called an image.
DEVICE = ("volumes", "rbd", "image")


@cache
def definitions(release: str) -> dict[str, Any]:
    text = (SCHEMAS / f"v{release}.0-local" / "_definitions.json").read_text()
    found: dict[str, Any] = json.loads(text)["$defs"]
    return found


def members(release: str, name: str) -> Iterator[tuple[str, Any, str]]:
    """Yield the members of a definition: what they are, and which definition they or their elements have."""
    for key, rule in definitions(release)[name].get("properties", {}).items():
        inner = rule.get("items", rule)
        found = inner.get("allOf", [inner])[0].get("$ref", "") if isinstance(inner, dict) else ""
        yield key, rule, found.rpartition("/")[2]


def paths(release: str, name: str, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths to the specifications of pods."""
    for key, _, inner in members(release, name):
        if inner == POD_SPEC:
            yield (key,)
        elif inner and inner not in above:
            yield from ((key, *path) for path in paths(release, inner, (*above, inner)))


def images(release: str, name: str) -> Iterator[tuple[str, ...]]:
    """Yield the paths to texts that may name images."""
    for key, rule, inner in members(release, name):
        if inner in definitions(release):
            yield from ((key, *path) for path in images(release, inner))
        elif key == "image" or (key == "reference" and "image" in rule["description"]):
            yield (key,)


@pytest.mark.parametrize("release", RELEASES)
def test_no_kind_that_has_pods_is_left_out(release: str) -> None:
    found = {
        (kind["group"], kind["kind"]): path
        for name, rule in definitions(release).items()
        for kind in rule.get("x-kubernetes-group-version-kind", ())
        if not kind["kind"].endswith("List")
        for path in paths(release, name)
    }
    assert found == {key: podkinds.pod_spec(*key) for key in found}
    assert {kind for _, kind in found} == podkinds.POD_SPECS.keys()
    assert not any(podkinds.names_no_image(*key) for key in found)


@pytest.mark.parametrize("release", RELEASES)
def test_no_place_of_an_image_is_left_out(release: str) -> None:
    found = set(images(release, POD_SPEC)) - {DEVICE}
    new = set() if release > "1.30" else {("volumes", "image", "reference")}
    assert found == {*podkinds.IMAGES} - new


def test_a_kind_counts_with_its_group_alone() -> None:
    assert podkinds.pod_spec("", "Pod") == ("spec",)
    assert podkinds.pod_spec("extensions", "Deployment") == ("spec", "template", "spec")
    for group, kind in (("example.com", "Pod"), ("", "Deployment"), ("argoproj.io", "Rollout")):
        assert podkinds.pod_spec(group, kind) is None
        assert not podkinds.names_no_image(group, kind)
    assert podkinds.names_no_image("", "Service")
    assert not podkinds.names_no_image("serving.knative.dev", "Service")
