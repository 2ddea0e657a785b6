"""What may stand in a place of a command line: names that are known here, words that are fixed, files.

What it is: what a shell proposes, from the trust directory alone. What it is not: which place it is
(`completion`), or a check: what is proposed may be refused, and what is not may be right.

Rules:

1. No server is asked, no key is opened, and nothing is written.
2. What cannot be read has no names: whoever types sees no error in the middle of a line.
3. A name that cannot be shown as it is, with a control character in it, is not proposed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from notarypy.errors import NotarypyError
from notarypy.keys import keyentry, keypaths
from notarypy.keys.signers import SIGNERS
from notarypy.limits import Limits
from notarypy.storage.settings import settings
from notarypy.storage.trustdir import TrustDirectory
from notarypy.tuf import canonical, roles

if TYPE_CHECKING:
    from notarypy.cli.declared import Parameter

T = TypeVar("T")

_HUB = "docker.io/"
_OFFICIAL = "docker.io/library/"
_SHORT_ID = 12
# Whoever types does not wait for more.
_LIMITS = Limits(cached_bytes=8 << 20)
_REPOSITORIES = 256  # that are asked for their signers
_PLATFORMS = ("linux/amd64", "linux/arm64", "linux/arm/v7", "linux/386", "linux/ppc64le", "linux/s390x")
_FILES = frozenset({"FILE", "TAR", "PATH", "HTML", "PUB", "CHAIN.pem", "-- ARGS"})
# The words that some options take, and what begins some values.
_WORDS = {
    "--builder": ("buildx", "buildah", "podman", "kaniko", "docker"),
    "--for": ("containers", "kyverno", "policy-controller", "connaisseur", "ratify", "rego"),
    "FORMAT": ("dockerfile", "compose", "k8s", "buildkit-policy"),
    "OS/ARCH": _PLATFORMS,
    "PLATFORM": _PLATFORMS,
}
_BEGINNINGS = {
    "SOURCE": ("oci:", "oci-archive:", "docker-archive:"),
    "DEST": ("oci:", "oci-archive:"),
    "cosign:PUB": ("cosign:",),
    "PLACE": ("unix:",),
    "URI": tuple(f"{scheme}:" for scheme in SIGNERS),
}
_OF_SIGNERS = frozenset({"--signer", "--as-signer", "--name"})


class Proposal(NamedTuple):
    """A word, and what it is."""

    text: str
    about: str = ""


class Proposals:
    """What may stand in a place.

    Attributes:
        kind: `words`; `open` where what is proposed goes on, so that no space follows; `files` or `folders`
            where those may stand too.
        kept: What stands before the name of a file in the same word.
    """

    def __init__(self, words: Iterable[Proposal] = (), kind: str = "words", kept: str = "") -> None:
        self.words, self.kind, self.kept = [*words], kind, kept

    def fitting(self, typed: str) -> list[Proposal]:
        """Return those that go on from what is typed, each once (rule 3)."""
        found = {each.text: each for each in self.words if each.text.startswith(typed)}
        return [each for each in found.values() if each.text.isprintable()]


def values(parameter: Parameter, typed: str, known: Known) -> Proposals:
    """Return what may be the value of a parameter, where this much is typed."""
    shown = parameter.record.how.get("metavar", "").strip("[]").partition(" | ")[0].removesuffix("...")
    option = parameter.names[-1]
    if (words := _fixed(parameter, shown)) is not None:
        return Proposals(map(Proposal, words))
    if (beginnings := _BEGINNINGS.get(shown)) is not None:
        begun = next((each for each in beginnings if typed.startswith(each)), None)
        if begun is None or shown == "URI":
            return Proposals(map(Proposal, beginnings), "open")
        return Proposals((), "files", begun)
    if shown == "DIR":
        return Proposals((), "folders")
    kind = "files" if shown in _FILES or shown == "KEYREF" else "words"
    if shown == "NAME" and option not in _OF_SIGNERS and not parameter.is_argument:
        return Proposals()
    return Proposals(_NAMES[shown](known, typed) if shown in _NAMES else (), kind)


def _fixed(parameter: Parameter, shown: str) -> Sequence[str] | None:
    """Return the words of a parameter that takes no others."""
    if isinstance(parameter.kind, tuple):
        return parameter.kind
    if shown == "ROLE" and parameter.is_argument:  # whose keys are replaced
        return roles.BASE_ROLES
    return _WORDS.get(parameter.names[-1]) or _WORDS.get(shown)


class Known:
    """The names in a trust directory (rules 1 and 2)."""

    def __init__(
        self, options: Mapping[str, Any], environ: Mapping[str, str], words: Sequence[str] = ()
    ) -> None:
        """Take the global options that say where it is, and the words that are on the line."""
        self._options, self._environ, self._words = options, environ, words

    @cached_property
    def _directory(self) -> TrustDirectory | None:
        with suppress(NotarypyError, OSError):
            return TrustDirectory(settings.load(self._options, self._environ).trust_dir, _LIMITS)
        return None

    @cached_property
    def repositories(self) -> list[str]:
        """The repositories of which something is cached."""
        with suppress(NotarypyError, OSError):
            return [] if self._directory is None else self._directory.guns()
        return []

    def signed(self, gun: str, role: str) -> Mapping[str, Any]:
        """Return the signed part of a cached file."""
        if self._directory is None:
            return {}
        with suppress(NotarypyError, OSError, RecursionError):
            data = self._directory.repository(gun).load(role)
            found = canonical.decode(data, role, _LIMITS).get("signed") if data is not None else None
            return found if isinstance(found, dict) else {}
        return {}

    def tags(self, gun: str) -> list[str]:
        """Return the tags that a repository has in what is cached of it."""
        listed = (self.signed(gun, role).get("targets") for role in roles.RELEASING)
        return [tag for each in listed if isinstance(each, dict) for tag in each]

    @property
    def asked(self) -> list[str]:
        """The repositories that are on the line; while none is, all."""
        named = [gun for gun in self.repositories if any(gun in _spellings(word) for word in self._words)]
        return named or self.repositories[:_REPOSITORIES]

    def delegations(self) -> Iterator[tuple[str, str, list[object]]]:
        """Yield the delegations of the first level, each with a repository that has it, and its keys."""
        for gun in self.asked:
            found = _member(self.signed(gun, roles.TARGETS), "delegations", dict[str, Any])
            table = _member(found, "keys", dict[str, Any])
            for each in _member(found, "roles", list[Any]):
                name = _member(each, "name", str)
                if roles.is_delegation(name):
                    yield name, gun, [table.get(str(keyid)) for keyid in _member(each, "keyids", list[Any])]

    def all_keys(self) -> Iterator[tuple[str, str, str]]:
        """Yield the keys that are here: id, role or name, and repository."""
        if self._directory is None:
            return
        with suppress(NotarypyError, OSError):
            for keyid, place in keypaths.key_paths(self._directory.private)[0].items():
                with suppress(NotarypyError, OSError):
                    info = keyentry.info_of(keyid, place)
                    yield keyid, roles.signer_name(info.role), info.gun or ""


def _member(value: object, name: str, kind: Callable[[], T]) -> T:
    """Return a member of a cached document, or an empty one in the place of anything else (rule 2)."""
    empty = kind()
    found = value.get(name) if isinstance(value, dict) else empty
    return found if isinstance(found, type(empty)) else empty


def _repositories(known: Known, typed: str) -> Iterator[Proposal]:
    """Yield repositories, those of Docker Hub by the short name unless the long one is typed."""
    for gun in known.repositories:
        short = gun if typed.startswith(_HUB) else gun.removeprefix(_OFFICIAL).removeprefix(_HUB)
        yield Proposal(short)


def _references(known: Known, typed: str) -> Iterator[Proposal]:
    """Yield repositories, and tags where there is no doubt about the repository."""
    fitting = [each for each in _repositories(known, typed) if typed.startswith(f"{each.text}:")]
    if not fitting:
        fitting = [each for each in _repositories(known, typed) if each.text.startswith(typed)]
        yield from fitting
    for each in fitting if len(fitting) == 1 else ():
        full = next(gun for gun in known.repositories if gun in _spellings(each.text))
        yield from (Proposal(f"{each.text}:{tag}") for tag in known.tags(full))


def _spellings(name: str) -> tuple[str, ...]:
    return name, f"{_HUB}{name}", f"{_OFFICIAL}{name}"


def _registries(known: Known, typed: str) -> Iterator[Proposal]:  # noqa: ARG001 - as the table has it
    yield from (Proposal(gun.partition("/")[0]) for gun in known.repositories)


def _signers(known: Known, typed: str) -> Iterator[Proposal]:  # noqa: ARG001 - as the table has it
    """Yield signers whose keys are here, and those of the repositories."""
    for _, name, _ in known.all_keys():
        if name and name not in roles.BASE_ROLES and name != roles.RELEASES:
            yield Proposal(name, "its key is here")
    for role, gun, _ in known.delegations():
        if role != roles.RELEASES:
            yield Proposal(roles.signer_name(role), f"a signer of {gun}")


def _ids_of_signers(known: Known, typed: str) -> Iterator[Proposal]:
    """Yield ids of signers' keys, as they are named where one of them is taken away."""
    from notarypy.tuf.keys import PublicKey  # with all that hashes: no other word that is completed takes it

    for role, gun, keys in known.delegations():
        for key in keys if role != roles.RELEASES else ():
            with suppress(NotarypyError):
                found = PublicKey.from_json(key, _LIMITS).canonical_id
                yield from _key_ids(typed, [(found, roles.signer_name(role), gun)])


def _keys(known: Known, typed: str) -> Iterator[Proposal]:
    """Yield keys by name, and by id."""
    listed = list(known.all_keys())
    yield from (
        Proposal(name, "a signer's key") for _, name, _ in listed if name not in roles.BASE_ROLES and name
    )
    yield from _key_ids(typed, listed)


def _key_ids(typed: str, listed: Iterable[tuple[str, str, str]]) -> Iterator[Proposal]:
    """Yield ids of keys, as short as is usual unless more is typed."""
    for keyid, name, gun in listed:
        shown = keyid if len(typed) > _SHORT_ID else keyid[:_SHORT_ID]
        yield Proposal(shown, " of ".join(filter(None, (name, gun))))


def _roles(known: Known, typed: str) -> Iterator[Proposal]:  # noqa: ARG001 - as the table has it
    yield from map(Proposal, roles.BASE_ROLES)
    yield from (Proposal(role, f"in {gun}") for role, gun, _ in known.delegations())


def _tags(known: Known, typed: str) -> Iterator[Proposal]:  # noqa: ARG001 - as the table has it
    yield from (Proposal(tag, f"in {gun}") for gun in known.asked for tag in known.tags(gun))


_NAMES: dict[str, Callable[[Known, str], Iterator[Proposal]]] = {
    "GUN": _repositories,
    "HOST": _registries,
    "ID": _ids_of_signers,
    "KEY": _keys,
    "KEYREF": _keys,
    "NAME": _signers,
    "NAME[=PUB": _signers,
    "REF": _references,
    "REGISTRY": _registries,
    "REPO": _repositories,
    "REPO[:TAG]": _references,
    "ROLE": _roles,
    "SRC": _references,
    "TAG": _tags,
    "DST": _references,
}
