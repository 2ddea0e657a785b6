"""Parts: files that several people sign, on their way from one of them to the next.

What it is: the form of such a file, what may be in it, and whose signatures count. What it is not: how
several become one, whether what it builds on is the repository's present state (`joinedparts`), or how it is
made and published (`client.publish.joining`). `before` says what the part says, and is to be verified.

Rules:

1. A part is one JSON document, ASCII, sorted and indented, for it goes through git. It has the repository,
   the published files that it builds on (`base`), and drafted ones (`files`) with the signatures so far;
   nothing that is secret, and no member besides. It is read as strictly as metadata, and each file in it
   under the limits of metadata.
2. What is drafted is a root, a targets file or delegations, byte for byte as this program writes what it
   shows of them: nobody signs what nobody sees.
3. A draft has the version after that in the base, and where there is no base the first one. Of a delegation
   without a file in the base a server may have kept versions: that it is the next one the server has to say.
4. No draft leaves a role to too few keys, or a tag without content (`draftchanges`: 3).
5. A root is signed by its own keys, and by those of the root in the base: each by its threshold. Targets are
   signed by the keys that the new root names, and a delegation by those of the file above it, drafted or not.
6. A signature counts when it is verified over the very bytes, and a threshold counts different keys. Each is
   checked once, and of all that are read together no more than a `VerificationBudget` has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from notarypy import jsontext
from notarypy.errors import MetadataError, PartError
from notarypy.limits import DEFAULT, EXTENDED, Limits
from notarypy.tuf import canonical, certificates, roles
from notarypy.tuf.changes import State
from notarypy.tuf.draftchanges import require_usable
from notarypy.tuf.envelope import Envelope, Signature, VerificationBudget, seal, valid_keys
from notarypy.tuf.keys import PublicKey, decode_base64
from notarypy.tuf.metadata import Root, Targets
from notarypy.tuf.plan import LAST_VERSION
from notarypy.values import dataclass, field, replace

if TYPE_CHECKING:
    from notarypy.tuf.canonical import JsonObject

FORM = 1
_MEMBERS = {"base", "files", "gun", "part"}


@dataclass(frozen=True)
class HalfSigned:
    """A drafted file: what is signed, decoded, and the signatures so far, which nobody has verified."""

    signed: JsonObject
    signatures: tuple[Signature, ...] = ()
    checked: dict[tuple[PublicKey, Signature], bool] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def text(self) -> bytes:
        """The bytes that the signatures cover."""
        return canonical.encode(self.signed)

    @property
    def sorted(self) -> JsonObject:
        """What is signed, members in their order."""
        return canonical.decode(self.text, "a draft", EXTENDED)

    def envelope(self, limits: Limits = DEFAULT) -> Envelope:
        """Return it as a file whose signatures can be checked."""
        found = Envelope(b"", self.signed, self.signatures, limits, self.checked)
        vars(found)["canonical"] = self.text
        return found


@dataclass(frozen=True)
class NeededSignatures:
    """Keys that have to sign a drafted file, and what is there of it (rules 5 and 6).

    Attributes:
        role: Whose file it is.
        threshold: How many of the keys it takes.
        signed: Canonical ids of those that have signed.
        could: Canonical ids of the others.
        former: Whether these are the keys of the root that a new one takes the place of.
    """

    role: str
    threshold: int
    signed: tuple[str, ...]
    could: tuple[str, ...]
    former: bool = False

    @property
    def missing(self) -> int:
        """How many signatures it still takes."""
        return max(self.threshold - len(self.signed), 0)


@dataclass(frozen=True)
class Part:
    """What several people sign of one repository; `base` and `files` are by role (rule 1)."""

    gun: str
    base: Mapping[str, bytes]
    files: Mapping[str, HalfSigned]
    limits: Limits = field(default=DEFAULT, repr=False, compare=False)
    budget: VerificationBudget | None = field(default=None, repr=False, compare=False)

    @classmethod
    def parse(cls, data: bytes, limits: Limits = DEFAULT, budget: VerificationBudget | None = None) -> Self:
        """Read a part strictly (rules 1 to 4); raise MetadataError, or PartError for what it may not say."""
        if len(data) > limits.part_bytes:
            raise canonical.too_many("the part", "bytes", len(data), limits.part_bytes)
        found = canonical.decode(data, "the part", EXTENDED)
        if type(found.get("part")) is not int or found["part"] != FORM or found.keys() != _MEMBERS:
            raise MetadataError("this is no part", why=f"it does not have the members of form {FORM}")
        base = {role: _published(role, text) for role, text in _by_role(found["base"], "base").items()}
        files = {role: _drafted(role, entry) for role, entry in _by_role(found["files"], "files").items()}
        gun, budget = found["gun"], budget or VerificationBudget(limits.signature_checks, "these files")
        part = cls(roles.check_gun(gun if isinstance(gun, str) else ""), base, files, limits, budget)
        part.require_sound()
        return part

    def document(self) -> bytes:
        """Return the part as it is written (rule 1)."""
        base = {role: data.decode() for role, data in sorted(self.base.items())}
        files = {
            role: {"signatures": [one.to_json() for one in file.signatures], "signed": file.sorted}
            for role, file in sorted(self.files.items())
        }
        value = {"base": base, "files": files, "gun": self.gun, "part": FORM}
        return f"{jsontext.document(value, indent=1)}\n".encode()

    @cached_property
    def before(self) -> State | None:
        """The state that the part says it builds on; None where there is none yet."""
        if not self.base:
            return None
        read = {role: Envelope.parse(data, role, self.limits).signed for role, data in self.base.items()}
        return State(
            self.gun,
            Root.from_signed(read[roles.ROOT], self.limits),
            {role: self._targets(role, signed) for role, signed in read.items() if role != roles.ROOT},
            published=self.base,
            limits=self.limits,
        )

    @cached_property
    def after(self) -> State:
        """The state that the part leads to: its drafts are dirty there."""
        before = self.before
        drafted = self.files.get(roles.ROOT)
        if drafted is not None:
            root = Root.from_signed(drafted.signed, self.limits)
        elif before is not None:
            root = before.root
        else:
            raise PartError("the part has no root")
        targets = {} if before is None else dict(before.targets)
        for role in self.files.keys() - {roles.ROOT}:
            targets[role] = self._targets(role, self.files[role].signed)
        former = None if before is None or drafted is None else before.root
        dirty = frozenset(self.files)
        return reached(State(self.gun, root, targets, {}, dirty, self.base, former, self.limits))

    @property
    def gone(self) -> tuple[str, ...]:
        """The roles whose files the base has, and that are delegated to no more."""
        return tuple(
            role for role in self.base if roles.is_delegation(role) and role not in self.after.targets
        )

    def _targets(self, role: str, signed: JsonObject) -> Targets:
        return Targets.from_signed(signed, role, self.limits)

    @cached_property
    def required(self) -> tuple[NeededSignatures, ...]:
        """Whose signatures it takes, root first, then from the top to the bottom (rules 5 and 6)."""
        order = sorted(self.files, key=lambda role: (role != roles.ROOT, role.count("/"), role))
        return tuple(one for role in order for one in self._required(role))

    @property
    def missing(self) -> tuple[NeededSignatures, ...]:
        """Those of the `required` that still lack signatures."""
        return tuple(one for one in self.required if one.missing)

    def _required(self, role: str) -> list[NeededSignatures]:
        envelope, found = self.files[role].envelope(self.limits), []
        for keys, threshold, former in self.signers(role):
            table = {key.keyid: key for key in keys}
            signed = valid_keys(envelope, table, table, self.budget)
            ids = dict.fromkeys(key.canonical_id for key in keys)
            could = tuple(keyid for keyid in ids if keyid not in signed)
            found.append(
                NeededSignatures(
                    role, threshold, tuple(keyid for keyid in ids if keyid in signed), could, former
                )
            )
        return found

    def signers(self, role: str) -> list[tuple[tuple[PublicKey, ...], int, bool]]:
        """Return the keys that sign a draft, how many of them, and if they are a former root's (rule 5)."""
        after = self.after
        if role != roles.ROOT:
            return [(*after.keys_for(role), False)]
        found = []
        for root in (after.former, after.root):
            if root is not None:
                keys = tuple(
                    key for key in root.signers(role) if not certificates.problem(key, self.gun, None)
                )
                found.append((keys, root.roles[role].threshold, root is after.former))
        return found

    def keys(self, role: str) -> dict[str, PublicKey]:
        """Return every key that may sign a draft, by the id that its signature has."""
        return {key.keyid: key for keys, _, _ in self.signers(role) for key in keys}

    def still_wanted(self, available: Collection[str]) -> dict[str, tuple[PublicKey, ...]]:
        """Return by role the keys among those at hand that are to sign what lacks signatures."""
        found: dict[str, dict[str, PublicKey]] = {}
        for one in self.missing:
            [keys] = [keys for keys, _, former in self.signers(one.role) if former == one.former]
            # Of a root key with two certificates, an old and a new one, each signature has an id of its own.
            listed = {key.canonical_id: key for key in reversed(keys)}
            wanted = {listed[keyid].keyid: listed[keyid] for keyid in one.could if keyid in available}
            found.setdefault(one.role, {}).update(wanted)
        return {role: tuple(keys.values()) for role, keys in found.items() if keys}

    def with_signatures(self, role: str, signatures: Iterable[Signature]) -> Self:
        """Return the part with more signatures of a draft."""
        file = self.files[role]
        more = replace(file, signatures=(*file.signatures, *signatures))
        return replace(self, files={**self.files, role: more})

    def counting(self) -> Self:
        """Return the part with those signatures alone that count, one of each key (rule 6)."""
        return replace(self, files={role: self._counting(role, file) for role, file in self.files.items()})

    def _counting(self, role: str, file: HalfSigned) -> HalfSigned:
        keys, envelope = self.keys(role), file.envelope(self.limits)
        kept: dict[str, Signature] = {}
        for entry in file.signatures:
            key = keys.get(entry.keyid)
            if key is not None and entry.keyid not in kept and envelope.signed_by(key, entry, self.budget):
                kept[entry.keyid] = entry
        return replace(file, signatures=tuple(kept[keyid] for keyid in sorted(kept)))

    def sealed(self) -> dict[str, bytes]:
        """Return the finished files; PartError while signatures are missing."""
        part = self.counting()
        if part.missing:
            raise PartError(f"{self.gun} is not signed by enough", role=part.missing[0].role)
        return {role: seal(file.signed, file.signatures) for role, file in part.files.items()}

    def require_sound(self) -> None:
        """Raise MetadataError or PartError for a part that nobody should sign (rules 2 to 4)."""
        if not self.files:
            raise PartError("the part has nothing to sign")
        if self.base and not {roles.ROOT, roles.TARGETS} <= self.base.keys():
            raise PartError("the part does not say which root and targets it builds on")
        for state, listed in ((self.before, self.base), (self.after, self.files)):
            for role in filter(roles.is_delegation, listed):
                if state is not None and (state.delegation(role) is None or role not in state.targets):
                    raise PartError(f"nobody delegates to {role} in the part", role=role)
        for role, file in self.files.items():
            self._require_draft(role, file)

    def _require_draft(self, role: str, file: HalfSigned) -> None:
        canonical.decode(canonical.storage_form(file.text, []), role, self.limits)
        if len(file.signatures) > self.limits.signatures:
            raise canonical.too_many(role, "signatures", len(file.signatures), self.limits.signatures)
        new = self.after.root if role == roles.ROOT else self.after.targets[role]
        if canonical.encode(new.to_signed()) != file.text:  # rule 2
            raise PartError(f"{role} in the part says more than is shown of it", role=role)
        old = None if self.before is None else self._before(role)
        was = 0 if old is None else old.version
        follows = new.version == was + 1 or (old is None and bool(self.base) and roles.is_delegation(role))
        if new.version > LAST_VERSION or not follows:  # rule 3
            why = f"version {new.version}, and {was or 'none'} before it"
            raise PartError(f"{role} in the part is not the next version", why=why, role=role)
        require_usable(self.gun, role, old, new)  # rule 4

    def _before(self, role: str) -> Root | Targets | None:
        if self.before is None:
            return None
        return self.before.root if role == roles.ROOT else self.before.targets.get(role)


def reached(state: State) -> State:
    """Return a state without the files of roles that nobody delegates to any more."""
    left = {role: file for role, file in state.targets.items() if _is_reached(state, role)}
    return replace(state, targets=left)


def _is_reached(state: State, role: str) -> bool:
    delegated = roles.is_delegation(role) and state.delegation(role) is not None
    return role == roles.TARGETS or (delegated and _is_reached(state, roles.parent(role)))


def _by_role(value: object, what: str) -> dict[str, Any]:
    """Return an object by role; of no other role than a part may have."""
    if not isinstance(value, dict):
        raise MetadataError(f"{what} of the part is not an object")
    for role in value:
        if role not in {roles.ROOT, roles.TARGETS} and not roles.is_delegation(role):
            raise MetadataError(f"{what} of the part names something that is no role of it")
    return value


def _published(role: str, text: object) -> bytes:
    if not isinstance(text, str):
        raise MetadataError(f"{role} in the part's base is not a text", role=role)
    return text.encode()


def _drafted(role: str, value: object) -> HalfSigned:
    entry = value if isinstance(value, dict) else {}
    signed, listed = entry.get("signed"), entry.get("signatures")
    if (
        entry.keys() != {"signed", "signatures"}
        or not isinstance(signed, dict)
        or not isinstance(listed, list)
    ):
        raise MetadataError(f"{role} in the part is no drafted file", role=role)
    form = canonical.decode(
        canonical.encode(signed), role, EXTENDED
    )  # what is read is what is signed: 5.0 is 5
    return HalfSigned(form, tuple(_signature(role, one) for one in listed))


def _signature(role: str, value: object) -> Signature:
    entry = value if isinstance(value, dict) else {}
    keyid, method = entry.get("keyid"), entry.get("method")
    if (
        entry.keys() != {"keyid", "method", "sig"}
        or not isinstance(keyid, str)
        or not isinstance(method, str)
    ):
        raise MetadataError(f"{role} in the part has an entry that is no signature", role=role)
    return Signature(keyid, method, decode_base64(entry["sig"], "a signature"))
