"""Sign tags: the registry's digests, into every role whose key is here.

What it is: what `sign` wants to be true of one repository. What it is not: how it
is published (`publish`).

Rules:

1. Digest and size are those of the manifest that the registry serves, an index as
   the index. `REPO:TAG@DIGEST` asks the registry for that digest.
2. Without delegations a tag is written to `targets`. With delegations it is written
   to every first-level one that covers it and whose keys, up to the threshold, are
   here. `--signer N` narrows this to `targets/N` and `targets/releases`.
3. A tag already listed with the same content in all those roles is not published.
4. All tags of a repository are one publish, all or nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from notarypy.client.results import SignedTag
from notarypy.errors import (
    Advice,
    ConfigurationError,
    InvalidNameError,
    KeyNotAuthorisedError,
    NotarypyError,
    UsageError,
)
from notarypy.images import reference as references
from notarypy.tuf import roles
from notarypy.tuf.canonical import decode, encode
from notarypy.tuf.changes import AddTarget, Change, Discard, State
from notarypy.tuf.metadata import TargetFile

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from notarypy.client.parameters import SignOptions
    from notarypy.client.publish.pipeline import Published, Publisher
    from notarypy.images.manifests import Manifest
    from notarypy.images.reference import Reference

_SHORT = 7
_SPACE = 0x20
_UNSAFE = (b"<", b">", b"&", "\u2028".encode(), "\u2029".encode())


def by_repository(texts: Sequence[str]) -> dict[str, list[str]]:
    """Group references by repository, keeping order; raise before any work if one is unusable."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(tagged(text).repository, []).append(text)
    return groups


def one_each(references: Sequence[Reference]) -> dict[str, Reference]:
    """Return references of one repository by tag; raise UsageError for a tag with two contents."""
    found: dict[str, Reference] = {}
    for reference in references:
        tag = reference.tag or "latest"
        if found.setdefault(tag, reference).digest != reference.digest:
            raise UsageError(
                f"{reference.repository}:{tag} is to be signed twice, with different contents",
                why=", ".join(one.digest or "what the registry has" for one in (found[tag], reference)),
            )
    return found


def tagged(text: str) -> Reference:
    """Parse a reference that can be signed: it names a tag, `latest` if neither tag nor digest."""
    reference = references.parse(text)
    if reference.tag is None and reference.digest is not None:
        raise UsageError(
            f'"{text}" names no tag',
            why="what is signed is a tag",
            advice=Advice("write-digest", digest=reference.digest),
        )
    return reference


def custom_data(data: bytes) -> object:
    """Read the JSON attached to a target: only what Go writes back byte for byte.

    Raises:
        ConfigurationError: Go could not sign a file with this data again.
    """
    try:
        [value] = decode(b'{"custom":' + data + b"}", "custom data").values()
        canonical = encode(value)
    except NotarypyError as error:
        raise ConfigurationError(
            "the custom data cannot be attached", why=(error.message, *error.why)
        ) from None
    except ValueError:
        raise ConfigurationError(
            "the custom data cannot be attached", why="it is more than one JSON value"
        ) from None
    if any(mark in canonical for mark in _UNSAFE) or any(byte < _SPACE for byte in canonical):
        raise ConfigurationError(
            "the custom data cannot be attached",
            why="it holds < > & or a control or line separator character, which Go signs in another form",
        )
    return value


def hushed(publisher: Publisher) -> Publisher:
    """Return the publisher, which says nothing twice: before it publishes, and after."""
    tell, told = publisher.repository.warn, set[str]()

    def warn(text: str) -> None:
        if text not in told:
            told.add(text)
            tell(text)

    return replace(publisher, repository=replace(publisher.repository, warn=warn))


def sign(publisher: Publisher, contents: Mapping[str, Manifest], options: SignOptions) -> list[SignedTag]:
    """Make every tag in `contents` signed; returns one result per tag, in order.

    Raises:
        KeyNotAuthorisedError: No key here may sign one of the tags.
    """
    repository = publisher.repository
    attached = None if options.custom is None else custom_data(options.custom)
    if options.signer is not None:
        publisher = replace(publisher, narrow=partial(keys_of, role=roles.signer_role(options.signer)))

    def wish(state: State) -> Sequence[Change]:
        changes: list[Change] = []
        for tag, manifest in contents.items():
            for role in signing_roles(state, tag, publisher.available(state), options.signer):
                changes += [Discard(role)] if options.discard_unverified else []
                changes.append(AddTarget(role, tag, _entry(manifest, attached)))
        return changes

    done = publisher.rehearse(wish) if options.dry_run else publisher.publish(wish)
    results = []
    for tag, manifest in contents.items():
        written = signing_roles(done.after, tag, publisher.available(done.after), options.signer)
        if roles.RELEASES not in written and roles.TARGETS not in written:
            repository.warn(
                f"{repository.gun}:{tag} is not released by this: no key of targets/releases is here"
            )
        results.append(_result(tag, manifest, done, written))
    return results


def signing_roles(state: State, tag: str, available: Collection[str], signer: str | None) -> tuple[str, ...]:
    """Return the roles to write a tag to (rule 2); raise KeyNotAuthorisedError if there are none."""
    delegations = state.targets[roles.TARGETS].roles
    if not delegations and signer is None:
        return (roles.TARGETS,)
    wanted = None if signer is None else {roles.signer_role(signer), roles.RELEASES}
    covering = [entry.name for entry in delegations if roles.covers(entry.paths, tag)]
    usable = tuple(
        role for role in covering if (wanted is None or role in wanted) and state.signable(role, available)
    )
    if not usable or (signer is not None and roles.signer_role(signer) not in usable):
        raise _no_key(state, tag, covering, available, signer)
    limited = [entry.name for entry in delegations if entry.name not in {*covering, roles.RELEASES}]
    if set(usable) == {roles.RELEASES} and any(state.signable(role, available) for role in limited):
        # The keys here are a signer's that may not sign this tag: that they can release it does not count.
        raise _no_key(state, tag, covering, available, signer)
    return usable


def keys_of(state: State, role: str) -> frozenset[str]:
    """Return the canonical ids of a signer's keys; none for a signer that does not exist."""
    known = state.delegation(role) is not None
    return frozenset(key.canonical_id for key in state.keys_for(role)[0]) if known else frozenset()


def _entry(manifest: Manifest, custom: object) -> TargetFile:
    digest = bytes.fromhex(manifest.digest.removeprefix("sha256:"))
    return TargetFile(manifest.size, {"sha256": digest}, custom)


def _result(tag: str, manifest: Manifest, done: Published, written: tuple[str, ...]) -> SignedTag:
    old = _listed(done.before, tag)
    released = (
        old.get(roles.RELEASES) or old.get(roles.TARGETS) or next((old[r] for r in written if r in old), None)
    )
    differs = any(_differs(done, role, tag) for role in written)
    return SignedTag(
        repository=done.before.gun,
        tag=tag,
        digest=manifest.digest,
        size=manifest.size,
        platforms=manifest.platforms,
        roles=written,
        previous=released if released != manifest.digest else None,
        published=done.uploaded and differs,
        already=not differs,
        also_old=tuple(
            role for role, digest in _listed(done.after, tag).items() if digest != manifest.digest
        ),
    )


def _differs(done: Published, role: str, tag: str) -> bool:
    old, new = (state.targets.get(role) for state in (done.before, done.after))
    return (old and old.targets.get(tag)) != (new and new.targets.get(tag))


def _listed(state: State, tag: str) -> dict[str, str]:
    listed = {role: file.targets[tag].digest for role, file in state.targets.items() if tag in file.targets}
    return {role: digest for role, digest in listed.items() if digest is not None}


def _no_key(
    state: State, tag: str, covering: Sequence[str], available: Collection[str], signer: str | None
) -> KeyNotAuthorisedError | InvalidNameError:
    if signer is not None and state.delegation(roles.signer_role(signer)) is None:
        return no_signer(state, signer)
    accepted = []
    for role in covering:
        listed, _ = state.keys_for(role)
        ids = ", ".join(key.canonical_id[:_SHORT] for key in listed) or "no keys"
        accepted.append(f"{roles.signer_name(role)}: {ids}")
    return KeyNotAuthorisedError(
        f"none of your keys may sign {state.gun}:{tag}",
        why=(
            f"accepted: {'; '.join(accepted) or 'no delegation covers this tag'}",
            f"here: {', '.join(sorted(keyid[:_SHORT] for keyid in available)) or 'no keys'}",
        ),
        advice=_way_out(state),
        gun=state.gun,
        tag=tag,
    )


def _way_out(state: State) -> Advice:
    """Say how to go on: where the last signer was removed there is no key to load."""
    if any(entry.keyids for entry in state.targets[roles.TARGETS].roles):
        return Advice("load-accepted-key", gun=state.gun)
    return Advice("replace-last-signer", gun=state.gun, role=roles.RELEASES)


def no_signer(state: State, signer: str) -> InvalidNameError:
    """Return the error for a signer that a repository does not have."""
    return InvalidNameError(
        f'{state.gun} has no signer "{signer}"', advice=Advice("list-signers", gun=state.gun)
    )
