"""The trust policy file, and pins of roots: what of the trust is decided in files.

What it is: a TOML file in, a `TrustPolicy` out, and the files that pins name, read. What it is not: a judge
of images (`tuf.policy`) or of roots (`tuf.trustanchors`).

Rules:

1. Where there is a policy file, a repository that no scope fits is refused.
2. A file that is there and cannot be read, a broken link too, is an error, and so is a file that an option
   names and that is not there.
3. An unknown key, an empty list, a wrong type and a doubtful combination are errors: a mistyped requirement
   must not mean "nothing is required".
4. A scope is written in full, registry first: `docker.io/library`, not `library`.
5. Relative paths are relative to the file; `~/` is the home.
6. A file of pins that cannot be read is an error when its pins are wanted: leaving it out would trust other
   roots than the user chose.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from notarypy import files
from notarypy.errors import Advice, ConfigurationError, InvalidNameError, OutOfScopeError, StorageError
from notarypy.images.reference import parse_registry
from notarypy.limits import DEFAULT
from notarypy.storage.settings import requiredsignatures, spans
from notarypy.storage.settings.configsection import Section
from notarypy.storage.settings.requiredsignatures import NamedFiles, RequiredSignatures
from notarypy.tuf import roles
from notarypy.values import dataclass, field

if TYPE_CHECKING:
    from notarypy.tuf.policy import MaxAge, Requirements, Signers

Mode = Literal["enforce", "audit", "skip"]

_LOG = logging.getLogger(__name__)
_MODES: dict[str, Mode] = {"enforce": "enforce", "audit": "audit", "skip": "skip"}
_PLAIN = ("mode", "server", "first_use", "signed_as", "roots", "signers", "max_age", "lifetime")
KEYS = (*_PLAIN, *requiredsignatures.KEYS)
_REGISTRY = re.compile(r"[^/]*[.:][^/]*|localhost", re.ASCII)


@dataclass(frozen=True)
class Pins(NamedFiles):
    """Pins for the roots of some repositories; one of them suffices for a root key.

    Attributes:
        ids: Full ids of root keys.
        certificates: PEM files, each with a root certificate.
        ca: A PEM file with authorities, or None.
        source: Where this is written, for people.
        held: What was read of the files before they are wanted.
    """

    ids: tuple[str, ...] = ()
    certificates: tuple[Path, ...] = ()
    ca: Path | None = None
    source: str = ""
    held: Mapping[Path, bytes] = field(default_factory=dict, repr=False, compare=False)
    _useless, _advice = "no root can be pinned by", Advice("name-certificates")

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files."""
        return self.certificates if self.ca is None else (*self.certificates, self.ca)

    def __bool__(self) -> bool:
        """Tell whether anything is pinned."""
        return bool(self.ids or self.certificates or self.ca)


@dataclass(frozen=True)
class Scope:
    """What counts for the repositories below one prefix.

    Attributes:
        prefix: Registry and maybe more, or `*` for the rest.
        source: Where it is written, for people.
        mode: `enforce`; `audit` to only tell what is not met; `skip` to verify nothing.
        requirements: What is required of a release.
        roots: Pins that the repository's root must meet.
        first_use: Whether a root that nothing pins may be trusted on first use.
        server: The Notary server, or None for the usual one.
        signed_as: What stands for the prefix in the name of the trust data, or None.
        require: Whether images need Notary's signatures, cosign's, or both.
    """

    prefix: str
    source: str
    mode: Mode = "enforce"
    requirements: Requirements = field(default_factory=lambda: _requirements())  # noqa: PLW0108 - it stands below
    roots: Pins = field(default_factory=Pins)
    first_use: bool = False
    server: str | None = None
    signed_as: str | None = None
    require: RequiredSignatures = field(default_factory=RequiredSignatures)

    def gun(self, repository: str) -> str:
        """Return the name of the trust data that counts for a repository of this scope."""
        if self.signed_as is None:
            return repository
        return roles.replaced_prefix(repository, self.prefix, self.signed_as)


@dataclass(frozen=True)
class TrustPolicy:
    """A policy file as it was read: its scopes by prefix."""

    path: Path
    scopes: Mapping[str, Scope]

    def scope_for(self, repository: str) -> Scope:
        """Return the scope that counts for a repository; raise OutOfScopeError if none does (rule 1)."""
        prefix = roles.longest_prefix(self.scopes, repository)
        shown = f'scope "{prefix}"' if prefix else "no scope"
        _LOG.debug("%s: %s counts for %s", self.path, shown, repository)
        if prefix is not None:
            return self.scopes[prefix]
        why = (f"the policy is {self.path}", f"its scopes: {', '.join(self.scopes) or 'none'}")
        message = f"the trust policy has no scope for {repository}"
        advice = Advice("add-scope", repository=repository)
        raise OutOfScopeError(message, why=why, advice=advice, repository=repository)


@dataclass(frozen=True)
class PolicyFile:
    """Where the policy is, or would be.

    Attributes:
        path: The file.
        home: What `~/` stands for in it.
        named: Whether the user named it; else it need not exist.
    """

    path: Path
    home: Path
    named: bool

    def read(self) -> TrustPolicy | None:
        """Return the policy; None when there is no file at the usual place (rules 2 and 3)."""
        data = self.data()
        return None if data is None else self.parse(data)

    def parse(self, data: bytes) -> TrustPolicy:
        """Return the policy that the file holds (rule 3)."""
        return parse(data, self.path, self.home)

    def data(self) -> bytes | None:
        """Return what the file holds; None when there is none at the usual place (rule 2)."""
        try:
            return files.read_regular(self.path, DEFAULT.config_bytes, follow=True)
        except FileNotFoundError as error:
            if not self.named and not os.path.lexists(self.path):
                return None
            raise self._unreadable("there is no such file") from error
        except StorageError as error:
            raise self._unreadable(*error.why) from error

    def _unreadable(self, *why: str) -> ConfigurationError:
        message, advice = f"the trust policy {self.path} cannot be read", Advice("mend-policy")
        return ConfigurationError(message, why=why, advice=advice, path=str(self.path))


def parse(data: bytes, path: Path, home: Path) -> TrustPolicy:
    """Return what a policy says that is, or will be, at a path; raise ConfigurationError (rule 3)."""
    _LOG.debug("trust policy from %s", path)
    top = Section.of_toml(data, path, home)
    top.require_known("scope")
    tables = top.section("scope")
    scopes: dict[str, Scope] = {}
    for key in tables.names():
        prefix = _prefix(tables, key, key)
        if any(roles.same_prefix(prefix, other) for other in scopes):
            raise tables.problem(f'"{key}"', "this scope has two tables")
        scopes[prefix] = _scope(tables.section(key), prefix, path)
    return TrustPolicy(path, scopes)


def _scope(table: Section, prefix: str, path: Path) -> Scope:
    table.require_known(*KEYS)
    mode = table.text("mode") or "enforce"
    if mode not in _MODES:
        raise table.problem("mode", f'"{mode}" is none', Advice("write-mode"))
    if mode == "skip" and table.names() != ["mode"]:
        raise table.problem("mode", "skip verifies nothing, and other keys stand beside it")
    source = f'scope "{prefix}" in {path}'
    roots = _roots(table.section("roots"), source)
    first_use = table.flag("first_use")
    if roots and first_use:
        raise table.problem("first_use", "roots are pinned as well", Advice("keep-one"))
    return Scope(
        prefix=prefix,
        source=source,
        mode=_MODES[mode],
        requirements=_requirements(_signers(table.section("signers")), _ages(table), source),
        roots=roots,
        first_use=first_use,
        server=table.server("server"),
        signed_as=_signed_as(table, prefix),
        require=requiredsignatures.read(table, source),
    )


def _prefix(table: Section, key: str, text: str) -> str:
    """Return a checked prefix (rule 4)."""
    if text == roles.ANY:
        return text
    host, slash, rest = text.partition("/")
    if _REGISTRY.fullmatch(host) is None:
        raise table.problem(f'"{key}"', f'"{host}" is no registry', Advice("name-registry-first"))
    if ":" in rest or "@" in rest:
        raise table.problem(f'"{key}"', "it has a tag or a digest", Advice("name-repository"))
    try:
        return f"{parse_registry(roles.check_gun(text).partition('/')[0])}{slash}{rest}"
    except InvalidNameError as error:
        raise table.problem(f'"{key}"', "; ".join((error.message, *error.why))) from error


def _signed_as(table: Section, prefix: str) -> str | None:
    text = table.text("signed_as")
    if text is None:
        return None
    if roles.ANY in {text, prefix}:
        raise table.problem("signed_as", "one beginning of a name is replaced by another; * is none")
    return _prefix(table, "signed_as", text)


def _roots(table: Section, source: str) -> Pins:
    table.require_known("ids", "certificates", "ca")
    if "certificates" in table.names() and not table.texts("certificates"):
        raise table.problem("certificates", "it names no file")
    return Pins(table.pins("ids"), table.paths("certificates"), table.file("ca"), source)


def _requirements(*given: Any) -> Requirements:  # noqa: ANN401 - as the class takes them
    # The judge of images, and what it knows of keys, is for those who have a policy.
    from notarypy.tuf.policy import Requirements

    return Requirements(*given)


def _signers(table: Section) -> Signers:
    from notarypy.tuf.policy import Signers

    table.require_known("all", "any", "threshold", "everyone")
    some = _roles(table, "any")
    count = table.threshold("threshold", len(some))
    return Signers(_roles(table, "all"), some, count, everyone=table.flag("everyone"))


def _roles(table: Section, key: str) -> tuple[str, ...]:
    names = table.texts(key)
    if key in table.names() and not names:
        raise table.problem(key, "it names nobody", Advice("require-nobody"))
    try:
        found = tuple(roles.signer_role(name) for name in names)
    except InvalidNameError as error:
        raise table.problem(key, "; ".join((error.message, *error.why))) from error
    if len(set(found)) != len(found):
        raise table.problem(key, "it names a signer twice")
    return found


def _ages(table: Section) -> MaxAge:
    from notarypy.tuf.policy import MaxAge

    limits, lifetimes = table.section("max_age"), table.section("lifetime")
    given: dict[str, timedelta] = {}
    for section, suffix in ((limits, ""), (lifetimes, "_lifetime")):
        section.require_known("timestamp", "signatures")
        given |= {f"{key}{suffix}": _span(section, key) for key in section.names()}
    for key in lifetimes.names():
        if key not in limits.names():
            raise lifetimes.problem(key, f"it counts only with max_age.{key}")
    return MaxAge(**given)


def _span(table: Section, key: str) -> timedelta:
    text = table.text(key) or ""
    if spans.too_long(text):
        raise table.problem(key, f"{text} is too long", Advice("write-shorter-span", most=spans.MOST))
    if not (found := spans.parse(text)):
        raise table.problem(key, "it is not a span of time", Advice("write-span"))
    return found


def by_gun(gun: str, ids: Mapping[str, tuple[str, ...]], authorities: Mapping[str, Path]) -> Pins | None:
    """Return the pins of Go notary's configuration: ids by GUN or beginning and `*`, files by beginning."""

    def length(prefix: str) -> int:  # what it says, whatever its spelling
        return len(roles.comparable(prefix))

    patterns = [key for key in ids if key.endswith("*") and _begins(gun, key[:-1])]
    exact = [key for key in ids if roles.comparable(key) == roles.comparable(gun)]
    exact.sort(key=lambda key: key != gun)
    for key in (*exact, *sorted(patterns, key=length, reverse=True)):
        if ids.get(key):
            return Pins(ids[key], source=f'trust_pinning.certs."{key}"')
    prefixes = [prefix for prefix in authorities if _begins(gun, prefix)]
    if not prefixes:
        return None
    prefix = max(prefixes, key=length)
    return Pins(ca=authorities[prefix], source=f'trust_pinning.ca."{prefix}"')


def _begins(gun: str, prefix: str) -> bool:
    """Tell whether a repository begins so, in any spelling of its registry: a pin must not be evaded."""
    spelled = roles.comparable(prefix)
    if "/" not in prefix and spelled != prefix.lower():
        spelled += "/"  # only a whole registry has another spelling: its name ends here
    return gun.startswith(prefix) or f"{roles.comparable(gun)}/".startswith((prefix, spelled))
