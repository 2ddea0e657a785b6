"""Build inputs: files that name images, whatever their kind, and what becomes of them.

What it is: Dockerfiles, compose files and manifests behind one face, and the source policy of BuildKit that
says the same as a pinned Dockerfile: the JSON that `EXPERIMENTAL_BUILDKIT_SOURCE_POLICY` names. What it is
not: the verification of images (`resolver`), or the reading itself (`images`).

Rules:

1. Without a kind, a name ending in `.yaml`, `.yml` or `.json` means YAML, which JSON is too, and its content
   which; everything else is a Dockerfile.
2. The new text is read again before anybody gets it: it must have the same structure, and exactly the images
   that it was given.
3. In a policy BuildKit begins again after each CONVERT that changed something. What is left in the end is
   taken if the last rule that fits says ALLOW: so DENY for all images comes first.
4. There names are complete, as BuildKit asks for them: registry, path, and a tag or a digest.
5. There what was left alone is allowed by its name, with any digest that the name leads to.
6. Sources that are no images are not in it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from notarypy.errors import Advice, BuildFileError, NotarypyError, UsageError
from notarypy.images import occurrences
from notarypy.images.dockerfile import stages
from notarypy.images.dockerfile.variables import BuildOptions
from notarypy.images.workloads import find, yamlnodes
from notarypy.limits import DEFAULT
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from notarypy.client.verdicts import VerifiedImage
    from notarypy.images.occurrences import Occurrence
    from notarypy.images.workloads.find import Named

FileKind = Literal["dockerfile", "compose", "k8s"]
KINDS: tuple[FileKind, ...] = ("dockerfile", "compose", "k8s")
_LOG = logging.getLogger(__name__)
_SCHEME = "docker-image://"
_YAML = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class BuildInput:
    """A file that names images.

    `occurrences` are the images in the order of the text, and `outline` is what must not change with the
    names. Lines that builders other than BuildKit may read in another way are `hidden`; `unknown` are those
    of the notes for a person about something that may name images unseen.
    """

    source: str
    text: str
    kind: FileKind
    occurrences: tuple[Occurrence, ...]
    notes: tuple[str, ...]
    outline: tuple[object, ...]
    hidden: tuple[int, ...] = ()
    unknown: tuple[str, ...] = ()

    def with_names(self, names: Mapping[Occurrence, str], variables: FileVariables) -> str:
        """Return the text with other names; raise BuildFileError if one cannot be replaced (rule 2)."""
        text = occurrences.rewrite(self.text, names)
        again = read(text, self.source, self.kind, variables)
        wanted = [names.get(each, each.image) for each in self.occurrences]
        if again.outline == self.outline and [each.image for each in again.occurrences] == wanted:
            return text
        lines = ", ".join(str(line) for line in sorted({each.line for each in names}))
        message, advice = f"{self.source}: an image cannot be replaced", Advice("write-plain-names")
        why = f"with another name the file would mean something else; images are named in lines {lines}"
        raise BuildFileError(message, why=why, advice=advice, file=self.source)


@dataclass(frozen=True)
class FileVariables:
    """What decides which images a file means: options of the builder, and the variables of a compose file."""

    options: BuildOptions = field(default_factory=BuildOptions)
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        build_args: Mapping[str, str] | None,
        platform: str | None,
        target: str | None,
        environment: Mapping[str, str] | None,
    ) -> FileVariables:
        """Return what these decide."""
        return cls(BuildOptions(build_args or {}, platform, target), environment or {})


def decode(data: bytes, source: str, kind: FileKind | None = None) -> str:
    """Return the text of a file; raise BuildFileError if it is too big for its kind."""
    is_yaml = not _is_dockerfile(source, kind)
    return occurrences.decode(data, source, DEFAULT.yaml_bytes if is_yaml else DEFAULT.build_file_bytes)


def _is_dockerfile(source: str, kind: FileKind | None) -> bool:
    return kind == "dockerfile" or (kind is None and not source.lower().endswith(_YAML))


def read(text: str, source: str, kind: FileKind | None, variables: FileVariables) -> BuildInput:
    """Read a file; raise BuildFileError if it is none, or does not say which images it means."""
    found = _read(text, source, kind, variables)
    _LOG.debug("%s: a %s file that names %d images", source, found.kind, len(found.occurrences))
    return found


def _read(text: str, source: str, kind: FileKind | None, variables: FileVariables) -> BuildInput:
    if _is_dockerfile(source, kind):
        found = stages.parse(text, source, variables.options)
        named = found.occurrences, found.notes, found.outline(), found.hidden
        return BuildInput(source, text, "dockerfile", *named)
    roots = yamlnodes.documents(text, source)
    if not roots and kind != "compose":
        return BuildInput(source, text, "k8s", (), (f"{source} is empty: it names no image",), ())
    if kind == "k8s" or (kind is None and find.is_kubernetes(roots)):
        return _of_yaml(source, text, "k8s", find.kubernetes(roots))
    if kind == "compose" or find.is_compose(roots):
        if len(roots) != 1:
            what = f"{source} has several documents" if roots else f"{source} is empty"
            raise BuildFileError(what, why="a compose file is one document with services", file=source)
        return _of_yaml(source, text, "compose", find.compose(roots[0], variables.environment))
    what = f"{source} is neither a compose file nor a Kubernetes manifest"
    raise BuildFileError(what, advice=Advice("say-format"), file=source)


def _of_yaml(source: str, text: str, kind: FileKind, named: Named) -> BuildInput:
    outline = tuple(each.what for each in named.occurrences)
    return BuildInput(source, text, kind, named.occurrences, named.notes, outline, unknown=named.unknown)


@dataclass(frozen=True)
class PinnedImage:
    """What became of one image that a file names.

    `what` names it, such as `FROM`, `COPY --from` or `image`, in the form that is `written`; `image` is the
    name with everything in it worked out, `reference` that with the signed `digest`, both None for what was
    left alone or failed. `previous` is the digest that stood there, `left` why it was left alone, or empty.
    """

    line: int
    what: str
    written: str
    image: str
    reference: str | None = None
    digest: str | None = None
    previous: str | None = None
    left: str = ""
    verified: VerifiedImage | None = None
    error: NotarypyError | None = None

    @property
    def is_new(self) -> bool:
        """Whether the name gets a digest that did not stand there."""
        return self.digest is not None and self.digest != self.previous


class PinnedFile:
    """A file, `source`, of which every image was looked at: `images` says what became of each.

    Lines that builders other than BuildKit may read in another way are `hidden`.
    """

    def __init__(self, file: BuildInput, images: Sequence[PinnedImage], before: bytes, after: bytes) -> None:
        self.source, self.kind, self.hidden = file.source, file.kind, file.hidden
        self.images = tuple(images)
        self._before, self._after = before, after

    @property
    def failures(self) -> tuple[NotarypyError, ...]:
        """Why images failed."""
        return tuple(image.error for image in self.images if image.error is not None)

    @property
    def data(self) -> bytes:
        """The file with every image pinned; raises what failed for the first image that failed."""
        for error in self.failures:
            raise error
        return self._after

    @property
    def changed(self) -> bool:
        """Whether it differs from the file that was read."""
        return self.data != self._before

    def policy(self) -> dict[str, object]:
        """Return the same as a source policy of BuildKit, for a Dockerfile that stays as it is (rule 3)."""
        if self.kind != "dockerfile":
            raise UsageError(f"{self.source} is no Dockerfile", why="a source policy is for builds")
        for error in self.failures:
            raise error
        found: list[dict[str, object]] = [_rule("DENY", "REGEX", f"^{_SCHEME}")]
        signed = {image.image: image.reference for image in self.images if image.reference is not None}
        for image, pinned in signed.items():
            before, after = _full(image), _full(pinned)
            if before != after:
                # EXACT converts nothing in BuildKit (seen with 0.13 and dockerd 26); a name has no wildcards.
                found.append({**_rule("CONVERT", "WILDCARD", before), "updates": {"identifier": after}})
            found.append(_rule("ALLOW", "EXACT", after))
        for image in dict.fromkeys(image.image for image in self.images if image.reference is None):
            # What stands for itself in a pattern of Go's too: names have no other special characters.
            name = re.sub(r"[.\[\]]", lambda match: f"\\{match[0]}", _full(image))
            found.append(_rule("ALLOW", "REGEX", f"^{name}(@sha256:[0-9a-f]{{64}})?$"))
        return {"version": 1, "rules": found}


def _full(image: str) -> str:
    return f"{_SCHEME}{occurrences.in_full(image)}"


def _rule(action: str, match: str, identifier: str) -> dict[str, object]:
    return {"action": action, "selector": {"identifier": identifier, "match_type": match}}
