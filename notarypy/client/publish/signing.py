"""Sign tags: the registry's digests, into every role whose key is here.

What it is: what `sign` does, from references to signed tags, and whether an image could be
signed, found out before it is sent. What it is not: how it is published (`pipeline`), or pushing.

Rules:

1. Digest and size are those of the manifest that the registry serves, an index as the index.
   `REPO:TAG@DIGEST` asks the registry for that digest.
2. Without delegations a tag is written to `targets`. With delegations it is written to every
   first-level one that covers it and whose keys, up to the threshold, are here. `--signer N`
   narrows this to `targets/N` and `targets/releases`.
3. A tag already listed with the same content in all those roles is not published.
4. All tags of a repository are one publish, all or nothing; repositories are published side by
   side, and all are tried. Only what a daemon pushes goes one after the other. The registry is
   asked, for several tags at a time, while the present state is read.
5. All references are read before anything is asked of a server.
6. What signing would raise is raised before a push or a build: no trust data, no key that may sign, a
   passphrase that is missing or wrong, a login that may read and not publish. It is no promise: others may
   publish meanwhile. What there is to warn of is said once, when it is signed.
"""

from __future__ import annotations

import logging
from contextlib import closing, contextmanager
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING

from notarypy.client.metadata.roots import is_settled
from notarypy.client.publish.initialise import init as initialise
from notarypy.client.publish.pipeline import Edit, Published, Publisher, publisher_for
from notarypy.client.results import InitResult, SignedTag
from notarypy.client.workers import gathered, meanwhile, outcomes
from notarypy.errors import (
    Advice,
    ConfigurationError,
    InvalidNameError,
    KeyNotAuthorisedError,
    NotarypyError,
    RepositoryMissingError,
    SignatureError,
    UsageError,
    beginning,
)
from notarypy.images import reference as references
from notarypy.images.manifests import OCI_MANIFEST, Manifest
from notarypy.tuf import roles
from notarypy.tuf.canonical import decode, encode, is_kept_by_go, not_json
from notarypy.tuf.changes import AddTarget, Change, Discard, State
from notarypy.tuf.fields import TargetFile
from notarypy.tuf.keys import SHORT_KEYID
from notarypy.tuf.plan import half_signable
from notarypy.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from notarypy.client.parameters import SignOptions
    from notarypy.client.session import Session
    from notarypy.images.reference import Reference

    Contents = Callable[[], Mapping[str, Manifest]]
    Push = Callable[[Reference], Manifest] | None

_LOG, _SHOWN, _NO_KEY = logging.getLogger(__name__), 10, ["no key of targets/releases is here"]


def sign_all(
    session: Session, texts: Sequence[str], options: SignOptions, *, init: bool = False, push: Push = None
) -> list[SignedTag]:
    """Sign tags that are in the registry, or what `push` pushes (rule 6); with `init` in new repositories."""
    session.require_registry("sign")
    groups = by_repository(texts)
    if options.custom is not None:
        custom_data(options.custom)

    def signed(gun: str, wanted: dict[str, Reference]) -> list[SignedTag]:
        here = session.repository(gun, options.root, publishing=True)
        ahead = push is None and not init and is_settled(here)
        with meanwhile(partial(_served, session, wanted), wanted=ahead) as served:
            contents: Contents = cache(served)
            if push is None and init:  # trust data is made only for what is there
                contents()
            with initialised(session, gun, options.root, wanted=init and not options.dry_run) as created:
                if push is not None:
                    require_signable(session, gun, wanted, options)
                    contents = partial(dict, {tag: push(one) for tag, one in wanted.items()})
                done = _signed(session, gun, contents, options, init=init)
        return [replace(done[0], created=created), *done[1:]]

    calls = [partial(signed, gun, _one_each(map(tagged, group))) for gun, group in groups.items()]
    return list(chain.from_iterable(gathered(calls, most=0 if push is None else 1)))


def _signed(
    session: Session, gun: str, contents: Contents, options: SignOptions, *, init: bool
) -> list[SignedTag]:
    try:
        return sign(_warning_once(publisher_for(session, gun, options.root)), contents, options)
    except RepositoryMissingError:
        found = contents()  # a missing image goes first: nobody makes trust data for it
        if not (init and options.dry_run and options.signer is None):
            raise
        session.warn(f"{gun} has no trust data: it would be initialised")
        return [_first(gun, tag, manifest) for tag, manifest in found.items()]


def _served(session: Session, wanted: Mapping[str, Reference]) -> dict[str, Manifest]:
    calls = [partial(session.manifest, one, one.digest or tag) for tag, one in wanted.items()]
    with closing(outcomes(calls)) as found:
        return {tag: one.get() for tag, one in zip(wanted, found, strict=True)}


@contextmanager
def initialised(session: Session, gun: str, root: str | None, *, wanted: bool) -> Iterator[InitResult | None]:
    """Make trust data where there is none, if that is wanted; the value is what was made.

    Its owner has to hear of a new root, whatever becomes of what follows.
    """
    created = made if wanted and (made := initialise(session, gun, root=root)).created else None
    try:
        yield created
    except RepositoryMissingError as error:
        error.advice = Advice("init-first", gun=error.facts["gun"])
        raise
    except NotarypyError:
        if created is not None:
            pins = ", ".join(created.root_pins)
            session.warn(f"{created.repository} was initialised before this failed; its root pin: {pins}")
        raise


def require_signable(
    session: Session, text: str, tags: Collection[str], options: SignOptions, manifest: Manifest | None = None
) -> None:
    """Raise what signing these tags of a repository would raise, before there is anything to sign (rule 6).

    Without a `manifest`, whatever is pushed later.
    """
    publisher = publisher_for(session, text, options.root).only(options.signer)
    silent = replace(publisher, repository=replace(publisher.repository, warn=lambda _: None))
    unknown = Manifest(OCI_MANIFEST, f"sha256:{'0' * 64}", 1)
    silent.preview(_edit(silent, lambda: dict.fromkeys(tags, manifest or unknown), options), unlock=True)


def _warning_once(publisher: Publisher) -> Publisher:
    """Return a publisher that says nothing twice: before it publishes, and after."""
    warn, given = publisher.repository.warn, set[str]()

    def warn_once(text: str) -> None:
        if text not in given:
            given.add(text)
            warn(text)

    return replace(publisher, repository=replace(publisher.repository, warn=warn_once))


def by_repository(texts: Iterable[str]) -> dict[str, list[str]]:
    """Group references by repository, keeping order; raise before any work if one is unusable."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(tagged(text).repository, []).append(text)
    return groups


def _one_each(named: Iterable[Reference]) -> dict[str, Reference]:
    """Return references of one repository by tag; raise UsageError for a tag with two contents."""
    found: dict[str, Reference] = {}
    for reference in named:
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
    """Read the JSON attached to a target; ConfigurationError unless Go writes it back byte for byte."""
    try:
        [value] = decode(b'{"custom":' + data + b"}", "custom data").values()
        canonical = encode(value)
    except NotarypyError as error:
        why = not_json(data) or (error.message, *error.why)
    except ValueError:
        why = ("it is more than one JSON value",)
    else:
        if value is None:
            raise ConfigurationError(
                "the custom data cannot be attached", why="null attaches nothing, and takes nothing away"
            )
        if is_kept_by_go(canonical):
            return value
        why = ("it holds < > & or a control or line separator character, which Go signs in another form",)
    raise ConfigurationError("the custom data cannot be attached", why=why)


def sign(publisher: Publisher, contents: Contents, options: SignOptions) -> list[SignedTag]:
    """Make every tag in `contents` signed; returns one result per tag, in order."""
    publisher = publisher.only(options.signer)
    repository, edit = publisher.repository, _edit(publisher, contents, options)
    done = publisher.preview(edit) if options.dry_run else publisher.publish(edit)
    results = []
    for tag, manifest in contents().items():
        written = signing_roles(done.after, tag, publisher.available(done.after), options.signer)
        _LOG.debug("%s:%s is %s in %s", repository.gun, tag, manifest.digest, written)
        if roles.RELEASES not in written and roles.TARGETS not in written:
            half = half_signable(done.after, {roles.RELEASES}, publisher.available(done.after))
            repository.warn(f"{repository.gun}:{tag} is not released by this: {(half or _NO_KEY)[0]}")
        results.append(_result(tag, manifest, done, written))
    return results


def _edit(publisher: Publisher, contents: Contents, options: SignOptions) -> Edit:
    attached = None if options.custom is None else custom_data(options.custom)

    def edit(state: State) -> Sequence[Change]:
        changes: list[Change] = []
        for tag, manifest in contents().items():
            digest = bytes.fromhex(manifest.digest.removeprefix("sha256:"))
            content = TargetFile(manifest.size, {"sha256": digest}, attached)
            for role in signing_roles(state, tag, publisher.available(state), options.signer):
                _require_signed(state, role, options)
                changes += [Discard(role)] if options.discard_unverified else []
                changes.append(AddTarget(role, tag, content))
        return changes

    return edit


def _require_signed(state: State, role: str, options: SignOptions) -> None:
    """Say how to go on where the keys of a role were changed, and its file was not signed again."""
    failure = state.failures.get(role)
    if isinstance(failure, SignatureError) and not options.discard_unverified:
        advice = Advice("discard-unverified")
        raise SignatureError(failure.message, why=failure.why, advice=advice, **failure.facts)


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
    if set(usable) == {roles.RELEASES}:
        limited = {entry.name for entry in delegations}.difference(covering, (roles.RELEASES,))
        if any(state.signable(role, available) for role in limited):
            # The keys here are a signer's that may not sign this tag: releasing alone does not count.
            raise _no_key(state, tag, covering, available, signer)
    return usable


def _result(tag: str, manifest: Manifest, done: Published, written: tuple[str, ...]) -> SignedTag:
    old = digests(done.before, tag)
    released = next((old[role] for role in (roles.RELEASES, roles.TARGETS, *written) if old.get(role)), None)
    differs = any(_entry(done.before, role, tag) != _entry(done.after, role, tag) for role in written)
    now = digests(done.after, tag)
    others = [role for role, digest in now.items() if digest not in {None, manifest.digest}]
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
        also_old=tuple(others),
    )


def _first(gun: str, tag: str, manifest: Manifest) -> SignedTag:
    """Return what would be the first tag of a new repository: nobody is a signer of it yet."""
    found = (gun, tag, manifest.digest, manifest.size, manifest.platforms, (roles.TARGETS,), None)
    return SignedTag(*found, published=False, already=False, also_old=())


def _entry(state: State, role: str, tag: str) -> TargetFile | None:
    return state.targets[role].targets.get(tag) if role in state.targets else None


def digests(state: State, tag: str) -> dict[str, str | None]:
    """Return every role that lists a tag, with its digest; None for an entry without SHA-256."""
    return {role: file.targets[tag].digest for role, file in state.targets.items() if tag in file.targets}


def _no_key(
    state: State, tag: str, covering: Sequence[str], available: Collection[str], signer: str | None
) -> KeyNotAuthorisedError | InvalidNameError:
    if signer is not None and state.delegation(roles.signer_role(signer)) is None:
        return no_signer(state, signer)
    accepted, here = whose_keys(state, covering, available)
    named = set() if signer is None else {roles.signer_role(signer)}
    limited = [
        f"{roles.signer_name(entry.name)} may sign what begins with: {shortened(entry.paths) or 'nothing'}"
        for entry in state.targets[roles.TARGETS].roles
        if entry.name not in covering and (entry.name in named or state.signable(entry.name, available))
    ]
    a_signer_is_left = any(entry.keyids for entry in state.targets[roles.TARGETS].roles)
    half = half_signable(state, named & {*covering} or covering, available)
    loading = Advice("load-accepted-key", gun=state.gun)
    replacing = Advice("replace-last-signer", gun=state.gun, role=roles.RELEASES)
    return KeyNotAuthorisedError(
        f"none of your keys may sign {state.gun}:{tag}{' alone' if half else ''}",
        why=(f"keys that may sign it: {accepted or 'no delegation covers this tag'}", here, *half, *limited),
        advice=Advice("sign-in-parts") if half else loading if a_signer_is_left else replacing,
        gun=state.gun,
        tag=tag,
    )


def shortened(listed: Sequence[str]) -> str:
    """Return the first of many in words, and how many more there are."""
    return ", ".join(beginning(listed, _SHOWN))


def whose_keys(state: State, listing: Sequence[str], here: Collection[str]) -> tuple[str, str]:
    """Return the keys that sign for roles, and those that are here, for people."""
    ids = {role: [key.canonical_id[:SHORT_KEYID] for key in state.keys_for(role)[0]] for role in listing}
    who = [f"{roles.signer_name(role)}: {', '.join(keys) or 'no keys'}" for role, keys in ids.items()]
    return "; ".join(who), f"here: {', '.join(sorted(one[:SHORT_KEYID] for one in here)) or 'none of these'}"


def no_signer(state: State, signer: str) -> InvalidNameError:
    """Return the error for a signer that a repository does not have."""
    advice = Advice("list-signers", gun=state.gun)
    return InvalidNameError(f'{state.gun} has no signer "{signer}"', advice=advice)
