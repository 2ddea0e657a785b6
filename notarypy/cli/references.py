"""What stands on a command line for images: REFs, REPOs, and what a verified image has to fulfil.

What it is: names from the command line and from files, and the options that commands which verify share; all
read and checked before anything else happens. What it is not: the grammar of names (`images.reference`), or
the verdict (`client.verify.image`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from notarypy.cli import userfiles
from notarypy.cli.declared import Argument, Option
from notarypy.errors import Advice, NotarypyError, NothingThereError, UsageError
from notarypy.images import reference as references
from notarypy.tuf import roles

if TYPE_CHECKING:
    from datetime import timedelta

    from notarypy.cli.run import Run
    from notarypy.client.api import Client

KEYLESS = "only public keys in files count: no certificate, no identity, and no key service is asked"


class Name(NamedTuple):
    """A REF: as it was written, and what it means."""

    text: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def tagged(self) -> str:
        """`REPO:TAG`, as results name it."""
        return f"{self.repository}:{self.tag or 'latest'}"


Repositories = Annotated[list[str], Argument(metavar="REPO...", help="Repositories.")]
RepositoriesFile = Annotated[
    str | None,
    Option("--from-file", metavar="FILE", help="More REPOs, one a line; # begins a comment; - is stdin."),
]
Repository = Annotated[str, Argument(metavar="REPO", help="A repository.")]
OfflinePart = Annotated[
    str | None, Option(metavar="FILE", help="Publish nothing: sign into FILE; others add theirs.")
]
OverLimits = Annotated[
    bool, Option("--over-limits", help="Read signed files beyond the usual limits, to make them smaller.")
]


def read(run: Run, texts: Sequence[str], what: str = "REF") -> list[Name]:
    """Read REFs, or what else they are called, of which there has to be one."""
    if not texts:
        raise UsageError(f"no {what} was given", advice=Advice("name-image"))
    run.asked_for = len(texts)
    return [_read(text, literal=run.options.gun) for text in texts]


def check_repositories(run: Run, texts: Sequence[str]) -> None:
    """Raise UsageError unless all texts are repositories."""
    run.asked_for = len(texts)
    for text in texts:
        meant(run, text)


def known(run: Run, client: Client) -> list[str]:
    """Return the repositories of the trust directory; those that are no images' are failures."""
    found = client.repositories()
    if not found:
        message, advice = "no repository is known here", Advice("name-repositories")
        raise NothingThereError(message, why="the trust directory has no trust data", advice=advice)
    run.asked_for = len(found)
    for repo in found:
        if not means(run, repo):
            run.report.failed(
                [repo], NothingThereError(f"{repo} was not looked at", why="it is no image's name")
            )
    return [repo for repo in found if means(run, repo)]


def means(run: Run, gun: str) -> bool:
    """Tell whether a GUN, written as a REPO, means itself."""
    try:
        return run.options.gun or references.parse_repository(gun).repository == gun
    except UsageError:
        return False


def _read(text: str, *, literal: bool) -> Name:
    if not literal:
        parsed = references.parse(text)
        return Name(text, parsed.repository, parsed.tag, parsed.digest)
    gun, tag = roles.split_collection(text)
    return Name(text, gun, tag, None)


def repositories(run: Run, repos: Sequence[str] | None, path: str | None) -> list[str]:
    """Return the repositories that were named and those of a file; there may be none if there is no file."""
    named, advice = list(repos or ()), Advice("one-a-line", what="REPO")
    if path is not None:
        source = userfiles.name(path)
        listed = _lines(userfiles.read_text(path), source, lambda text: meant(run, text), advice)
        if not listed:
            raise NothingThereError(f"{source} names no repository", advice=advice)
        named += listed
    check_repositories(run, named)
    return named


def meant(run: Run, text: str) -> str:
    """Return the GUN that a REPO means."""
    return roles.check_gun(text) if run.options.gun else references.parse_repository(text).repository


def from_lines(run: Run, text: str, source: str) -> list[str]:
    """Return the REFs in a text: one a line, `#` begins a comment."""
    advice = Advice("one-a-line", what="REF")
    return _lines(text, source, lambda written: _read(written, literal=run.options.gun), advice)


def _lines(text: str, source: str, check: Callable[[str], object], advice: Advice) -> list[str]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not (written := line.partition("#")[0].strip()):
            continue
        try:
            check(written)
        except NotarypyError as error:
            message = f"line {number} of {source}: {error.message}"
            raise UsageError(message, why=error.why, advice=advice, line=number) from None
        found.append(written)
    return found


def span(text: str) -> timedelta:
    """Return the span of time that a text means; raise UsageError if it is none."""
    from notarypy.storage.settings import spans  # commands that verify do without

    if spans.too_long(text):
        raise UsageError(f"{text} is too long", advice=Advice("write-shorter-span", most=spans.MOST))
    if not (found := spans.parse(text)):
        raise UsageError(f'"{text}" is no span of time', advice=Advice("write-span"))
    return found


def with_file(run: Run, refs: list[str], path: str | None) -> list[str]:
    """Return REFs with those of a file, if one is named; raise NothingThereError if it names none."""
    if path is None:
        return refs
    listed = from_lines(run, userfiles.read_text(path), userfiles.name(path))
    if not listed:
        advice = Advice("one-a-line", what="REF")
        raise NothingThereError(f"{userfiles.name(path)} names no image", advice=advice)
    return [*refs, *listed]


def with_digest(name: Name, digest: str) -> str:
    """Return the REF that binds a name to a digest; raise UsageError if it names another one."""
    references.check_digest(digest)
    if name.digest not in {None, digest}:
        raise UsageError(f'"{name.text}" names another digest than the file', why=f"the file has {digest}")
    return f"{name.tagged}@{digest}"


FromFile = Annotated[
    str | None, Option(metavar="FILE", help="More REFs, one a line; # begins a comment; - is stdin.")
]
Within = Annotated[str, Option(metavar="TIME", help="How far ahead: 10d, 4w, 1y.")]
WithinOrUsual = Annotated[
    str | None, Option("--within", metavar="TIME", help="How far ahead: 10d, 4w, 1y; default: 90d.")
]
Signers = Annotated[
    list[str] | None, Option("--signer", metavar="NAME", help="This signer must have signed it. Repeatable.")
]
AllSigners = Annotated[
    bool, Option("--all-signers", help="Every signer of its repository must have signed it.")
]
Roots = Annotated[
    list[str] | None,
    Option("--root", metavar="ROOT-PIN", help="Repository's root: this or a successor. Repeatable."),
]
Also = Annotated[
    list[str] | None,
    Option(
        "--also", metavar="cosign:PUB", help="A key in this file must have signed it with cosign. Repeatable."
    ),
]
Policy = Annotated[
    str | None, Option("--policy", metavar="FILE", help="Trust policy, in place of notarypy/policy.toml.")
]


Archive = Annotated[
    str | None, Option("--from", metavar="TAR", help="Trust data of this archive, not of a server.")
]


def verify_options(
    run: Run,
    signers: Sequence[str] | None,
    roots: Sequence[str] | None,
    policy: str | None,
    *,
    all_signers: bool,
    also: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return what is required as `Client.verify` takes it, and put the policy into the run's options."""
    for name in signers or ():
        roles.signer_role(name)
    root = required_root(run, roots, policy)
    required = {"signers": signers or (), "all_signers": all_signers, "root": root}
    return {**required, "also": [_cosign_keys(text) for text in also]} if also else required


def _cosign_keys(text: str) -> bytes:
    """Return the public keys that `cosign:PUB` names; they are read once, so that what is wrong is named."""
    kind, _, path = text.partition(":")
    if kind != "cosign" or not path:
        raise UsageError(f'--also "{text}" says nothing that is known here', advice=Advice("write-also"))
    if path == "keyless" or "://" in path:
        raise UsageError(f"{text} names no file with a key", why=KEYLESS, advice=Advice("export-public-key"))
    from notarypy.cosign.signaturekeys import keys_in  # what verifies cosign's signatures is for them alone

    data = userfiles.read(path)
    with userfiles.named(path):
        keys_in(data)
    return data


def required_root(run: Run, roots: Sequence[str] | None, policy: str | None) -> str | None:
    """Return the root pins that were given, if any were, and put the policy into the run's options."""
    take_policy(run, policy)
    return roles.check_pins(",".join(roots)) if roots else None


def take_archive(run: Run, archive: str | None) -> None:
    """Let the run's client read this archive in place of Notary servers, if one is named."""
    if archive is not None:
        run.options.take("archive", archive)


def take_policy(run: Run, policy: str | None) -> None:
    """Let the run's client obey this trust policy, if one is named."""
    if policy is not None:
        run.options.take("policy", policy)
