"""Compose files and Kubernetes manifests: where they name images.

What it is: the paths to images in both, and the variables of compose. What it is not: YAML (`yamlnodes`), the
tables of kinds (`podkinds`), values of variables, or the meaning of anything else in these files.

Rules:

1. Kubernetes: containers, init and ephemeral containers and image volumes of each known kind, also within a
   list, whose kind is that of items without one. Every object whose kind is not known is noted, whatever it
   looks like: nobody here knows where it has images. A kind is known together with its API group, for others
   use the same names.
2. Compose: the image of each service that is not built, or that is pulled all the same by its policy; image
   volumes and images as build contexts. A service that is built has its bases in a Dockerfile, which is
   noted; unknown are bases that stand in the compose file, and an image without a policy, which compose may
   take from a registry before it builds. Other files and models are unknown.
3. A variable of compose counts with the value that the caller gives it, else with its default; without either
   the file is refused.
4. What compose and kubectl refuse is refused: no services, a list that is none, a container or service that
   is no mapping. A file must not pass because it is read past.
5. `!reset` of compose takes away what it stands at; `!override` changes nothing in a single file.
6. `$$` is a dollar. `$NAME` and `${NAME}` are the value of a variable.
7. `-` gives a word in its place if there is none, `?` an error, and `+` a word if there is one; with a colon
   before it an empty value counts as none. A word has variables itself, which count if the word does.
8. A variable that counts and has no value is an error, never an empty text.
9. What compose's releases do not agree on is an error: a brace alone within braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from notarypy.errors import Advice
from notarypy.images.occurrences import Occurrence
from notarypy.images.workloads import podkinds
from notarypy.limits import DEFAULT
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.images.workloads.yamlnodes import YamlNode

_LIST = "List"
_COMPOSE = frozenset(
    ["name", "version", "services", "include", "volumes", "networks", "configs", "secrets", "models"]
)
_CONTEXT = "docker-image://"


def is_kubernetes(roots: Sequence[YamlNode]) -> bool:
    """Tell whether documents are manifests."""
    return any(root.get("kind") is not None and root.get("apiVersion") is not None for root in roots)


@dataclass(frozen=True)
class Named:
    """What a file names; `unknown` are those of the notes about something that may name images unseen."""

    occurrences: tuple[Occurrence, ...]
    notes: tuple[str, ...]
    unknown: tuple[str, ...]


def kubernetes(roots: Sequence[YamlNode]) -> Named:
    """Return the images of manifests; raise BuildFileError if one of them is not clear (rule 1)."""
    found: list[Occurrence] = []
    unknown: list[str] = []
    notes: list[str] = []
    waiting, seen = [(root, "", "") for root in roots], set[int]()
    while waiting:
        root, usual, version = waiting.pop(0)
        kind = _scalar(root.get("kind")) or usual
        version = _scalar(root.get("apiVersion")) or version
        items, path = root.get("items"), podkinds.POD_SPECS.get(kind)
        if kind.endswith(_LIST) and items is not None:
            one = kind.removesuffix(_LIST)
            waiting += [(item, one, version if one else "") for item in _elements(items, "items", seen)]
            notes += [] if items.children else [_imageless(root, f"this {kind} is empty")]
            continue
        if path:
            spec = _walk(root, path)
            named = [*_pod(spec, seen)] if spec is not None else []
            found += [each for each in named if each is not None]
            if not named or None in named:
                notes.append(_imageless(root, f"this {kind} has no image, or a container without one"))
        group = version.partition("/")[0] if "/" in version else ""
        if kind not in podkinds.KNOWN or ("/" in version and group not in podkinds.GROUPS):
            what = f'the kind "{kind}"' if kind else "an object without a kind"
            what = f"{what} of {group} is not known" if group else f"{what} is not known"
            unknown.append(f"{root.source}:{root.line}: {what}: images that it may have are left alone")
    return Named(_once(found), (*unknown, *notes), tuple(unknown))


def _imageless(node: YamlNode, what: str) -> str:
    return f"{node.source}:{node.line}: {what}; another file may give it one"


def _walk(root: YamlNode, path: Sequence[str]) -> YamlNode | None:
    """Return the node at a path of mappings (rule 4)."""
    found: YamlNode | None = root
    for key in ("", *path):
        found = found.get(key) if found is not None and key else found
        if found is not None and not (found.is_mapping or found.is_nothing):
            raise found.failure(f"{key or 'a document'} is no mapping")
    return found


def _pod(spec: YamlNode, seen: set[int]) -> Iterator[Occurrence | None]:
    """Yield the images of a pod, and None for each container without one."""
    for name, *path in podkinds.IMAGES:
        for element in _elements(spec.get(name), name, seen):
            if not element.is_mapping:
                raise element.failure(f"an element of {name} is no mapping")
            image = element.get(*path)
            if image is not None:
                yield _occurrence(image, name)
            elif name in podkinds.CONTAINERS:
                yield None


def is_compose(roots: Sequence[YamlNode]) -> bool:
    """Tell whether a file is one of compose: it has services, or else nothing but what such a file has."""
    return any(root.get("services") is not None or _without_services(root) for root in roots)


def _without_services(root: YamlNode) -> bool:
    names = set(root.mapping()) if root.is_mapping else set()
    own = {name for name in names if not name.startswith("x-")}
    return own <= _COMPOSE and "services" not in own and bool(own - {"name", "version"})


def compose(root: YamlNode, values: Mapping[str, str]) -> Named:
    """Return the images of a compose file with these variables; raise BuildFileError (rules 2 to 5)."""
    found: list[Occurrence] = []
    unknown = [
        f"{root.source}: {key} names {what}, which are not looked at"
        for key, what in (("include", "other files"), ("models", "images of models"))
        if (node := root.get(key)) is not None and not node.is_nothing
    ]
    notes: list[str] = []
    services = _walk(root, ("services",))
    if (services is None or not services.mapping()) and not unknown and not _without_services(root):
        raise root.failure("this has no services", why="a compose file names its images there")
    seen = set[int]()
    for name, service in services.mapping().items() if services is not None else ():
        if not (service.is_mapping or service.is_nothing):
            raise service.failure(f"the service {name} is no mapping")
        image, build = _given(service, "image"), _given(service, "build")
        policy = _scalar(_given(service, "pull_policy"))
        is_built = build is not None and build.scalar != "" and not build.is_nothing
        if build is not None and is_built:
            note, is_whole = _built(name, service, build, policy)
            (notes if is_whole else unknown).append(note)
            found += _contexts(build, values, seen)
        if image is not None and (not is_built or policy not in {None, "build"}):
            found.append(_occurrence(image, "image", values))
        elif image is None and not is_built and service.get("extends") is None:
            notes.append(_imageless(service, f"{name} has no image here"))
        if service.get("extends", "file") is not None:
            note = f"{name} extends another file, which is not looked at"
            unknown.append(f"{root.source}:{service.line}: {note}")
        for volume in _elements(_given(service, "volumes"), "volumes", seen):
            source = volume.get("source")
            if _scalar(volume.get("type")) == "image" and source is not None:
                found.append(_occurrence(source, "volumes", values))
    return Named(_once(found), (*unknown, *notes), tuple(unknown))


def _given(node: YamlNode, key: str) -> YamlNode | None:
    """Return a member of a service, unless it is taken away (rule 5)."""
    found = None if node.is_reset else node.get(key)
    return None if found is None or found.is_reset else found


def _built(name: str, service: YamlNode, build: YamlNode, policy: str | None) -> tuple[str, bool]:
    """Return what is to be said of a service that is built, and whether another file says the rest of it.

    It is not if its Dockerfile stands inside, or compose may take its image from a registry instead.
    """
    context = _scalar(build) or _scalar(build.get("context")) or "."
    file = _scalar(build.get("dockerfile")) or "Dockerfile"
    is_inline = _given(build, "dockerfile_inline") is not None
    where = "its own dockerfile_inline, which is not read" if is_inline else f"{context}/{file}"
    note = f"{build.source}:{build.line}: {name} is built: the images to pin are in {where}"
    image = _scalar(_given(service, "image"))
    if not image or policy is not None:
        return note, not is_inline
    return f"{note}; compose may take {image} from a registry instead, unless pull_policy is build", False


def _contexts(build: YamlNode, values: Mapping[str, str], seen: set[int]) -> Iterator[Occurrence]:
    contexts = _given(build, "additional_contexts")
    if contexts is None:
        return
    for node in (*contexts.mapping().values(), *contexts.list(seen)):
        before, mark, _ = (node.scalar or "").partition(_CONTEXT)
        if mark:
            yield _occurrence(node, "additional_contexts", values, skip=len(before) + len(mark))


def _occurrence(
    node: YamlNode, what: str, values: Mapping[str, str] | None = None, skip: int = 0
) -> Occurrence:
    written = (node.scalar or "")[skip:]
    image = written if values is None else _interpolated(written, values, node)
    if not image:
        raise node.failure(f"{what} names no image")
    start, end = node.place()
    return Occurrence(image, written, node.line, start + skip, end, what)


def _interpolated(text: str, values: Mapping[str, str], node: YamlNode) -> str:
    """Return a text with its variables (rule 3)."""

    def missing(name: str) -> str:
        advice = Advice("give-argument", option="--env", name=name)
        raise node.failure(f'"{text}" names no image: {name} has no value', advice=advice)

    try:
        return interpolate(text, values, missing)
    except InterpolationError as error:
        raise node.failure(f'"{text}" is not understood', why=str(error)) from None


def _scalar(node: YamlNode | None) -> str | None:
    return None if node is None else node.scalar


def _elements(node: YamlNode | None, what: str, seen: set[int]) -> list[YamlNode]:
    """Return the elements of a list that is there; raise BuildFileError for what is none (rule 4)."""
    if node is None or node.is_nothing:
        return []
    if not node.is_sequence:
        raise node.failure(f"{what} is no list")
    return node.list(seen)


def _once(found: Sequence[Occurrence]) -> tuple[Occurrence, ...]:
    """Return occurrences in the order of the text, one for each place: an alias is not another one."""
    return tuple(sorted({each.start: each for each in found}.values(), key=lambda each: each.start))


_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_BRACED = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:(?P<operator>:?[-+?])(?P<word>.*))?", re.ASCII | re.DOTALL)

Missing = Callable[[str], str]


class InterpolationError(ValueError):
    """A text is outside of the grammar."""


def interpolate(text: str, values: Mapping[str, str], missing: Missing, level: int = 0) -> str:
    """Return a text with its variables; `missing` raises for a name without a value (rule 8)."""
    if level > DEFAULT.word_levels:
        raise InterpolationError(f"it is nested more than {DEFAULT.word_levels} deep")
    found, position = [], 0
    while (dollar := text.find("$", position)) >= 0:
        found.append(text[position:dollar])
        after = text[dollar + 1 : dollar + 2]
        if after == "$":
            found.append("$")
            position = dollar + 2
        elif after == "{":
            end = _closing(text, dollar + 2)
            found.append(_braced(text[dollar + 2 : end], values, missing, level))
            position = end + 1
        else:
            name = _NAME.match(text, dollar + 1)
            if name is None:
                raise InterpolationError("a dollar stands before no name; a dollar itself is $$")
            found.append(values[name[0]] if name[0] in values else missing(name[0]))
            position = name.end()
    return "".join([*found, text[position:]])


def _closing(text: str, start: int) -> int:
    """Return where the braces end that were opened before `start` (rule 9)."""
    level, position = 1, start
    while position < len(text):
        pair = text[position : position + 2]
        if pair in {"$$", "${"}:
            level += pair == "${"
            position += 2
            continue
        if pair[0] == "{":
            raise InterpolationError("a brace stands alone within braces")
        level -= pair[0] == "}"
        if level == 0:
            return position
        position += 1
    raise InterpolationError("a brace is not closed")


def _braced(text: str, values: Mapping[str, str], missing: Missing, level: int) -> str:
    """Return what stands for the text between braces (rule 7)."""
    match = _BRACED.fullmatch(text)
    if match is None:
        raise InterpolationError(f"${{{text}}} is no variable")
    name, operator, word = match["name"], match["operator"] or "", match["word"] or ""
    value = values.get(name)
    there = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("-" if not there else "+"):
        return interpolate(word, values, missing, level + 1)
    if operator.endswith("+"):
        return ""
    return (value or "") if there else missing(name)
