"""Compose files and Kubernetes manifests: where they name images.

What it is: the paths to images in both. What it is not: YAML (`yamltext`) or the meaning
of anything else in these files.

Rules:

1. Kubernetes: containers, init and ephemeral containers and image volumes of each known
   kind, also within a List. An unknown kind that has images somewhere is told.
2. Compose: the image of each service that is not built, image volumes and images as
   build contexts. A service that is built has its bases in a Dockerfile, which is told.
3. A variable of compose counts with the value that the caller gives it, else with its
   default; without either the file is refused. `$$` is a dollar.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from notarypy.images import mentions
from notarypy.images.mentions import Mention

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from notarypy.images.yamltext import Node

_POD = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "ReplicaSet": ("spec", "template", "spec"),
    "ReplicationController": ("spec", "template", "spec"),
    "Job": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_CONTEXT = "docker-image://"
_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<plain>[A-Za-z_]\w*)"
    r"|\{(?P<name>[A-Za-z_]\w*)(?:(?P<operator>:?[-+?])(?P<word>[^{}$]*))?\})",
    re.ASCII,
)


def is_kubernetes(roots: Sequence[Node]) -> bool:
    """Tell whether documents are manifests."""
    return any(root.get("kind") is not None and root.get("apiVersion") is not None for root in roots)


def kubernetes(roots: Sequence[Node]) -> tuple[tuple[Mention, ...], tuple[str, ...]]:
    """Return the images of manifests, and what a person should know (rule 1).

    Raises:
        BuildFileError: An image cannot be told.
    """
    found: list[Mention] = []
    notes: list[str] = []
    waiting = list(roots)
    while waiting:
        root = waiting.pop(0)
        kind = _scalar(root.get("kind")) or ""
        items = root.get("items")
        if kind.endswith("List") and items is not None:
            waiting += items.list()
        elif kind in _POD:
            spec = root.get(*_POD[kind])
            found += _pod(spec) if spec is not None else []
        elif any(node.get("image") is not None for node in root.walk()):
            notes.append(
                f'{root.source}:{root.line}: the kind "{kind}" is not known: its images are left alone'
            )
    return _once(found), tuple(notes)


def _pod(spec: Node) -> Iterator[Mention]:
    for name in _CONTAINERS:
        containers = spec.get(name)
        for container in containers.list() if containers is not None else ():
            image = container.get("image")
            if image is not None:
                yield _mention(image, name)
    volumes = spec.get("volumes")
    for volume in volumes.list() if volumes is not None else ():
        reference = volume.get("image", "reference")
        if reference is not None:
            yield _mention(reference, "volumes")


def compose(root: Node, values: Mapping[str, str]) -> tuple[tuple[Mention, ...], tuple[str, ...]]:
    """Return the images of a compose file, and what a person should know (rule 2).

    Args:
        root: The document.
        values: The variables.

    Raises:
        BuildFileError: An image cannot be told.
    """
    found: list[Mention] = []
    notes = [
        f"{root.source}: {key} names other files, which are not looked at"
        for key, node in root.items()
        if key == "include" and node.list()
    ]
    services = root.get("services")
    for name, service in services.items() if services is not None else ():
        image, build = service.get("image"), service.get("build")
        if build is not None and build.scalar != "":
            notes.append(_built(name, build))
            found += _contexts(build, values)
        elif image is not None:
            found.append(_mention(image, "image", values))
        if service.get("extends", "file") is not None:
            notes.append(f"{root.source}:{service.line}: {name} extends another file, which is not looked at")
        found += _volumes(service, values)
    return _once(found), tuple(notes)


def _built(name: str, build: Node) -> str:
    context = _scalar(build) or _scalar(build.get("context")) or "."
    file = _scalar(build.get("dockerfile")) or "Dockerfile"
    where = "its own dockerfile_inline" if build.get("dockerfile_inline") is not None else f"{context}/{file}"
    return f"{build.source}:{build.line}: {name} is built: the images to pin are in {where}"


def _contexts(build: Node, values: Mapping[str, str]) -> Iterator[Mention]:
    contexts = build.get("additional_contexts")
    if contexts is None:
        return
    for node in [value for _, value in contexts.items()] + contexts.list():
        before, mark, _ = (node.scalar or "").partition(_CONTEXT)
        if mark:
            yield _mention(node, "additional_contexts", values, skip=len(before) + len(mark))


def _volumes(service: Node, values: Mapping[str, str]) -> Iterator[Mention]:
    volumes = service.get("volumes")
    for volume in volumes.list() if volumes is not None else ():
        source = volume.get("source")
        if _scalar(volume.get("type")) == "image" and source is not None:
            yield _mention(source, "volumes", values)


def _mention(node: Node, what: str, values: Mapping[str, str] | None = None, skip: int = 0) -> Mention:
    written = (node.scalar or "")[skip:]
    image = written if values is None else _interpolated(written, values, node)
    if not image:
        raise mentions.failure(node.source, node.line, f"{what} names no image")
    start, end = node.place()
    return Mention(image, written, node.line, start + skip, end, what)


def _interpolated(text: str, values: Mapping[str, str], node: Node) -> str:
    """Return a text with its variables (rule 3)."""

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name, operator, word = match["plain"] or match["name"], match["operator"] or "", match["word"] or ""
        found = values.get(name)
        there = bool(found) if operator.startswith(":") else found is not None
        if operator.endswith("+"):
            return word if there else ""
        if there:
            return found or ""
        if operator.endswith("-"):
            return word
        raise mentions.failure(
            node.source,
            node.line,
            f'"{text}" names no image: {name} has no value',
            fix=f"give it one with --env {name}=VALUE",
        )

    if "$" in _VARIABLE.sub("", text):
        raise mentions.failure(node.source, node.line, f'"{text}" is not understood')
    return _VARIABLE.sub(value, text)


def _scalar(node: Node | None) -> str | None:
    return None if node is None else node.scalar


def _once(found: Sequence[Mention]) -> tuple[Mention, ...]:
    """Return mentions in the order of the text, one for each place: an alias is not another one."""
    return tuple(sorted({each.start: each for each in found}.values(), key=lambda each: each.start))
