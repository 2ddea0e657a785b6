"""The arguments of a builder, as far as they decide which images a build takes.

What it is: what docker, buildah, podman and kaniko are told in much the same words. What it
is not: all of their options; what decides on no image is passed on unread.

Rules:

1. Read, because images may depend on them: build arguments, platform, target, build
   contexts and kaniko's context. A target leaves no stage out here: what is not read as an
   option by mistake must not be built unverified.
2. Refused, because they bring images in past the Dockerfile: another Dockerfile, another
   first image, another frontend, files of build arguments, a preprocessor. And, for builders
   that get the Dockerfile with other names of stages, a context that has the name of a stage.
3. Short options stand alone, so that none hides another.
4. An image as a build context is verified and pinned in its place. What the Dockerfile
   names and a context takes the place of is no image of the build. BuildKit compares names
   in full, tag and digest included; the others compare the very text, and take only an
   image in place of another one in FROM.
5. Remembered, for a push that comes after the build: what tells the builder's store, how to
   reach it, and how to reach the registry.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.errors import Advice, UsageError
from notarypy.images import occurrences
from notarypy.images.dockerfile.lines import lower
from notarypy.images.dockerfile.variables import is_platform
from notarypy.images.occurrences import Occurrence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from notarypy.client.build.inputs import PinnedImage
    from notarypy.client.build.resolver import Resolver

_IMAGE_CONTEXTS = ("docker-image://", "container-image://", "docker://")
_SHORT = 2
_OURS = {"file": Advice("give-build-file"), "dockerfile": Advice("give-build-file")}
_REFUSED = {
    "from": Advice("write-from"),
    "build-arg-file": Advice("give-build-args"),
    "cpp-flag": Advice("preprocess"),
}
_CONNECTION = frozenset(
    {"root", "runroot", "storage-driver", "storage-opt", "imagestore", "registries-conf"}
    | {"registries-conf-dir", "connection", "url", "identity", "authfile", "cert-dir", "creds"}
)
_SWITCHES = frozenset({"tls-verify", "remote"})
_WITH_VALUE = {*_OURS, *_REFUSED, "build-arg", "platform", "target", "build-context", "context"}


class Arguments:
    """What a builder's arguments say about images (rule 2)."""

    def __init__(self) -> None:
        self.target = ""
        self.build_args: dict[str, str] = {}
        self.platform: str | None = None
        self.contexts: dict[str, str] = {}
        self.directory: str | None = None
        self.options: set[str] = set()
        self.several = False
        self.connection: list[str] = []
        self._targets: list[int] = []
        self._seen: set[str] = set()

    @classmethod
    def read(cls, arguments: Sequence[str], environ: Mapping[str, str]) -> Arguments:
        """Read them.

        Args:
            arguments: The arguments.
            environ: Has the values of build arguments that are only named.

        Raises:
            UsageError: One is refused.
        """
        found = cls()
        waiting = iter(enumerate(arguments))
        for place, word in waiting:
            if word == "--" or (word.startswith("-") and not word.startswith("--") and len(word) > _SHORT):
                raise UsageError(f'"{word}" is not understood', advice=Advice("write-short-options"))
            name, equals, value = word.partition("=")
            option = {"-f": "file", "-c": "context"}.get(name) or name.removeprefix("--")
            if not word.startswith("-"):
                continue
            found.options.add(option)
            if option in _SWITCHES:
                found.connection.append(word)
            if option in _WITH_VALUE | _CONNECTION:
                at, value = (place, value) if equals else next(waiting, (place, ""))
                if option in _CONNECTION:
                    found.connection += arguments[place : at + 1]
                else:
                    found.take(option, value, environ, at)
        found.several = found.several or "all-platforms" in found.options
        if "TARGETSTAGE" not in found.build_args and "target" in found.options:
            found.build_args["TARGETSTAGE"] = found.target
        return found

    def take(self, option: str, value: str, environ: Mapping[str, str], place: int) -> None:
        """Take an option that decides on images, and whose value stands in a place."""
        if option in _OURS or option in _REFUSED:
            raise UsageError(f"--{option} is not for the builder", advice=(_OURS | _REFUSED)[option])
        name, equals, rest = value.partition("=")
        if option == "platform":
            # Several, in one option or in many, or the builder's own: then nothing may depend on it.
            self.several = self.several or option in self._seen or "," in value
            self.platform = value if not self.several and is_platform(value) else None
            self._seen.add(option)
        elif option == "target":
            self.target = value
            self._targets.append(place)
        elif option == "context":
            self.directory = value.removeprefix("dir://")
        elif option == "build-context":
            if name in self.contexts:
                raise UsageError(f"the build context {name} is there twice")
            self.contexts[name] = rest
        elif name == "BUILDKIT_SYNTAX":
            raise UsageError("BUILDKIT_SYNTAX is not for the builder", advice=Advice("write-syntax"))
        elif equals or name in environ:
            self.build_args[name] = rest if equals else environ[name]

    def context(self, arguments: Sequence[str], *, is_option: bool) -> Path:
        """Return the context: the last argument, or kaniko's option."""
        text = (self.directory or "") if is_option else (arguments[-1] if arguments else "")
        if not text or not Path(text).is_dir():
            raise UsageError(
                f'the context "{text}" is no directory here',
                advice=Advice("name-context-option" if is_option else "name-context-last"),
            )
        return Path(text)

    def replaces(self, occurrence: Occurrence, *, buildkit: bool) -> bool:
        """Tell whether a context takes the place of an image (rule 4).

        Args:
            occurrence: The image, and how it is named.
            buildkit: Whether the builder is BuildKit.
        """
        if occurrence.kind == "frontend":
            return False
        if buildkit:
            return occurrences.normal(occurrence.image) in map(occurrences.normal, self.contexts)
        value = self.contexts.get(occurrence.image)
        return value is not None and (occurrence.what != "FROM" or value.startswith(_IMAGE_CONTEXTS))

    def refuse_stages(self, names: Sequence[str]) -> None:
        """Raise UsageError for a context that would take the place of a stage (rule 2).

        Args:
            names: The stages' names in lower case, in their order; empty for none.
        """
        taken = {*names, *map(str, range(len(names)))}
        for name in self.contexts:
            if lower(name) in taken:
                raise UsageError(
                    f'"{name}" is a stage and a build context', advice=Advice("take-buildx-or-name")
                )

    def retarget(self, arguments: Sequence[str], stage: str) -> tuple[str, ...]:
        """Return the arguments with another target."""
        words = list(arguments)
        for place in self._targets:
            words[place] = f"--target={stage}" if words[place].startswith("--target=") else stage
        return tuple(words)

    def pin_contexts(
        self, resolver: Resolver, arguments: Sequence[str]
    ) -> tuple[tuple[PinnedImage, ...], tuple[str, ...]]:
        """Return the images among the contexts, and the arguments with them pinned."""
        found, words = [], list(arguments)
        for name, value in self.contexts.items():
            scheme = next((each for each in _IMAGE_CONTEXTS if value.startswith(each)), None)
            if scheme is None:
                continue
            image = value.removeprefix(scheme)
            pinned = resolver.image(
                f"--build-context {name}", Occurrence(image, image, 1, 0, 0, "--build-context")
            )
            found.append(pinned)
            if pinned.reference is not None:
                new = f"{name}={_IMAGE_CONTEXTS[0]}{pinned.reference}"
                words = [word.replace(f"{name}={value}", new) for word in words]
        return tuple(found), tuple(words)
