"""Staged changes and parts: what `Client.staging` and `Client.parts` offer.

What it is: a door for each use case, as in `client.api`, and the change that each call stages in the
changelist that Go notary has, too. What it is not: what becomes of them (`client.publish`).
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Literal, Self

from notarypy.client.parameters import require_lists
from notarypy.client.publish import joining, staged, stagedinit
from notarypy.client.publish.initialise import Wanted
from notarypy.client.publish.signing import custom_data
from notarypy.errors import InvalidNameError, UsageError
from notarypy.tuf import roles
from notarypy.tuf.canonical import MAX_INTEGER, encode
from notarypy.tuf.fields import TargetFile
from notarypy.tuf.roles import TARGETS, check_old_name, check_target_name
from notarypy.tuf.stagedchanges import (
    ALL_DELEGATIONS,
    CREATE,
    DELEGATION,
    DELETE,
    TARGET,
    UPDATE,
    WITNESS,
    Staged,
    in_order,
    written,
)
from notarypy.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from notarypy.client.publish.joining import PartPublished, PartReview
    from notarypy.client.publish.staged import StagedChange, StagedPublished
    from notarypy.client.publish.stagedinit import StagedInit
    from notarypy.client.session import Session
    from notarypy.tuf.keys import PublicKey

_SIZES = {"sha256": 32, "sha512": 64}


@dataclass(frozen=True)
class StagedContent:
    """What a target stands for: a length in bytes, raw hashes, one at least, and JSON as custom data."""

    length: int
    sha256: bytes | None = None
    sha512: bytes | None = None
    custom: bytes | None = None

    @classmethod
    def of(cls, entry: TargetFile) -> Self:
        """Return what an entry stands for, such as `client.targets.describe` returns."""
        custom = None if entry.custom is None else encode(entry.custom)
        return cls(entry.length, entry.hashes.get("sha256"), entry.hashes.get("sha512"), custom)

    def document(self) -> bytes:
        """Return the entry as Go writes it; raise UsageError for what cannot be signed, by Go too."""
        if not isinstance(self.length, int) or isinstance(self.length, bool):
            raise TypeError(f"length takes a number of bytes, and no {type(self.length).__name__}")
        for name in ("sha256", "sha512", "custom"):
            if not isinstance(value := getattr(self, name), bytes | None):
                raise TypeError(f"{name} takes bytes, and no {type(value).__name__}")
        given = {"sha256": self.sha256, "sha512": self.sha512}
        hashes = {name: b64encode(raw).decode() for name, raw in given.items() if raw is not None}
        if not hashes or any(raw is not None and len(raw) != _SIZES[name] for name, raw in given.items()):
            raise UsageError("content is named by its sha256, its sha512 or both", why="32 and 64 bytes")
        if not 0 <= self.length <= MAX_INTEGER:
            raise UsageError(f"no content has {self.length} bytes")
        entry: dict[str, object] = {"length": self.length, "hashes": hashes}
        if self.custom is not None and self.custom.strip() != b"null":  # which attaches nothing
            entry["custom"] = in_order(custom_data(self.custom))
        return written(entry)


class Staging:
    """Changes that are published together, later, by this client or by Go notary."""

    def __init__(self, session: Session) -> None:
        """Use the settings and keys of a client's session."""
        self._session = session

    def list(self, repository: str) -> list[StagedChange]:
        """Return what is staged, in order; no server is asked."""
        return staged.listed(self._session, repository)

    def add_target(
        self,
        repository: str,
        name: str,
        content: StagedContent | TargetFile,
        *,
        roles: Sequence[str] = ("targets",),
    ) -> None:
        """Stage that roles list a name with this content."""
        data = (StagedContent.of(content) if isinstance(content, TargetFile) else content).document()
        self._stage_target(repository, check_target_name(name), roles, CREATE, data)

    def remove_target(self, repository: str, name: str, *, roles: Sequence[str] = ("targets",)) -> None:
        """Stage that roles list a name no more."""
        self._stage_target(repository, check_old_name(name), roles, DELETE, None)

    def add_delegation(
        self, repository: str, role: str, keys: Sequence[bytes] = (), paths: Sequence[str] = ()
    ) -> None:
        """Stage that the holders of keys, PEM each, sign as a role what begins with paths; "" is all."""
        require_lists(keys=keys, paths=paths)
        if wrong := [one for one in keys if not isinstance(one, bytes)]:
            raise TypeError(f"keys takes PEM as bytes, and no {type(wrong[0]).__name__}")
        given = [roles.check_path(path) for path in paths]
        changes = []
        if keys:
            public = self._session.public_keys(keys)
            added = [_key_object(key) for key in {key.keyid: key for key in public}.values()]
            changes.append(_delegation(CREATE, role, {"threshold": 1, "add_keys": added}))
        if paths:
            changes.append(_delegation(CREATE, role, {"add_paths": given}))
        if not changes:
            raise UsageError("a delegation is added with keys, with paths, or with both")
        staged.stage(self._session, repository, changes)

    def remove_delegation(self, repository: str, role: str) -> None:
        """Stage that a role goes, with what it lists."""
        staged.stage(self._session, repository, [_delegation(DELETE, role, None)])

    def remove_delegation_keys(self, repository: str, role: str, key_ids: Sequence[str]) -> None:
        """Stage that keys, by their whole ids, sign as a role no more."""
        require_lists(key_ids=key_ids)
        staged.stage(self._session, repository, [_delegation(UPDATE, role, {"remove_keys": list(key_ids)})])

    def remove_delegation_paths(
        self, repository: str, role: str, paths: Sequence[str] = (), *, all_paths: bool = False
    ) -> None:
        """Stage that a role speaks no more for what begins with these paths, or for anything."""
        require_lists(paths=paths)
        given = [roles.check_old_path(path) for path in paths]
        data: dict[str, object] = {"clear_paths": True} if all_paths else {"remove_paths": given}
        staged.stage(self._session, repository, [_delegation(UPDATE, role, data)])

    def purge_keys(self, repository: str, key_ids: Sequence[str]) -> None:
        """Stage that keys, by their whole ids, go from every role but the four base roles."""
        require_lists(key_ids=key_ids)
        change = Staged(UPDATE, ALL_DELEGATIONS, DELEGATION, data=written({"remove_keys": list(key_ids)}))
        staged.stage(self._session, repository, [change])

    def witness(self, repository: str, roles: Sequence[str]) -> None:
        """Stage that roles are signed anew, content unchanged."""
        _require_any(roles)
        for role in roles:
            if role != TARGETS:
                _require_delegation(role)
        staged.stage(self._session, repository, [Staged(UPDATE, role, WITNESS) for role in roles])

    def reset(self, repository: str, numbers: Sequence[int] | None = None) -> int:
        """Drop staged changes by number, without numbers all, and return how many files went.

        UsageError for a number that is none; nothing is dropped then.
        """
        return staged.reset(self._session, repository, numbers)

    def init(
        self,
        repository: str,
        *,
        root_key: str | None = None,
        root_cert: bytes | None = None,
        snapshot: Literal["server", "local"] = "local",
    ) -> StagedInit:
        """Make keys and first files in the trust directory, to be published with what is staged.

        `root_key` is a KEY, a file or a URI; without one the only one here is taken, or one is made. The
        server is asked for its key. AlreadyExistsError: there is trust data, here or there.
        """
        keys, certificates = [one for one in [root_key] if one], [one for one in [root_cert] if one]
        wanted = Wanted(root_keys=keys, root_certs=certificates, snapshot=snapshot)
        return stagedinit.init(self._session, repository, wanted)

    def publish(self, repository: str) -> StagedPublished:
        """Publish what is staged, all or nothing, and the repository too if its server has none.

        A role that is to be witnessed and does not exist is dropped. Any other change that cannot be made is
        an error with the number as `staged` among its facts, and everything stays staged.
        """
        return staged.publish(self._session, repository)

    def _stage_target(
        self, repository: str, name: str, listing: Sequence[str], action: str, data: bytes | None
    ) -> None:
        _require_any(listing)
        for role in listing:
            if role != roles.TARGETS:
                _require_delegation(role)
        staged.stage(
            self._session, repository, [Staged(action, role, TARGET, name, data) for role in listing]
        )


def _delegation(action: str, role: str, data: dict[str, object] | None) -> Staged:
    _require_delegation(role)
    return Staged(action, role, DELEGATION, data=None if data is None else written(data))


def _require_any(given: Sequence[str]) -> None:
    """Refuse what names no role: nothing would be staged, and nobody would hear of it."""
    require_lists(roles=given)
    if not given:
        raise UsageError("no role was given")


def _require_delegation(role: str) -> None:
    if not roles.is_delegation(role):
        why = "a delegation is called targets/NAME, of a-z, 0-9, - and _, maybe with more of these below"
        raise InvalidNameError(f'"{role}" is no delegation', why=why, role=role)


def _key_object(key: PublicKey) -> dict[str, object]:
    """Return a key as Go writes it in a change file: the public half first."""
    public = b64encode(key.public).decode()
    return {"keytype": key.keytype, "keyval": {"public": public, "private": None}}


class Parts:
    """Files that go from hand to hand until enough people have signed them."""

    def __init__(self, session: Session) -> None:
        """Use the settings and keys of a client's session."""
        self._session = session

    def make(self, publish: Callable[[], object]) -> PartReview:
        """Return as a part what a call of this client would publish, signed by the keys here.

        Nothing is sent. `publish` calls one method that publishes, for one repository: `lambda:
        client.sign([reference])`. What other threads do with this client meanwhile is published. What a
        role's threshold lacks is no error here. NothingThereError: nothing would change.
        """
        return joining.make(self._session, publish)

    def read(self, documents: Sequence[bytes], *, root: str | None = None) -> PartReview:
        """Return a part, or several that belong together as one, verified and compared with the server.

        In an offline client it is compared with what is known here, and `root` is a pin that it must meet.

        Raises:
            PartError, MetadataError: It is no part, or they do not belong together.
            OutdatedPartError: It builds on what is not published any more.
        """
        require_lists(documents=documents)
        return joining.review(self._session, documents, root)

    def sign(self, part: PartReview) -> PartReview:
        """Return a part with the signatures of the keys here that are wanted (KeyNotAuthorisedError)."""
        return joining.sign(self._session, part)

    def publish(self, part: PartReview) -> PartPublished:
        """Publish a part; KeyNotAuthorisedError while signatures are missing."""
        return joining.publish(self._session, part)
