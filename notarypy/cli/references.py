"""REFs and REPOs as they were written, checked before anything else happens.

What it is: names from the command line and from files. What it is not: the grammar
(`images.reference`).

What commands that verify images require of them: the options that they share.

What it is: these options, read and checked before anything is asked. What it is not:
the judgment (`client.verify.image`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from notarypy.errors import Advice, NotarypyError, UsageError
from notarypy.images import reference as references
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from notarypy.cli.run import Run


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


def read(texts: Sequence[str], *, literal: bool) -> list[Name]:
    """Read REFs.

    Raises:
        UsageError: There is none, or one is none.
    """
    if not texts:
        raise UsageError("no REF was given", advice=Advice("name-image"))
    return [_read(text, literal=literal) for text in texts]


def check_repositories(texts: Iterable[str], *, literal: bool) -> None:
    """Raise UsageError unless all texts are repositories."""
    for text in texts:
        if literal:
            roles.check_gun(text)
        else:
            references.parse_repository(text)


def _read(text: str, *, literal: bool) -> Name:
    if not literal:
        parsed = references.parse(text)
        return Name(text, parsed.repository, parsed.tag, parsed.digest)
    gun, tag = roles.split_collection(text)
    return Name(text, gun, tag, None)


def from_lines(text: str, source: str, *, literal: bool) -> list[str]:
    """Return the REFs in a text: one a line, `#` begins a comment.

    Raises:
        UsageError: A line is no REF; the message has its number.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        written = line.partition("#")[0].strip()
        if not written:
            continue
        try:
            _read(written, literal=literal)
        except NotarypyError as error:
            raise UsageError(
                f"line {number} of {source}: {error.message}",
                why=error.why,
                advice=Advice("one-ref-a-line"),
                line=number,
            ) from None
        found.append(written)
    return found


def with_digest(name: Name, digest: str) -> str:
    """Return the REF that binds a name to a digest.

    Raises:
        UsageError: It names another digest already, or this is none.
    """
    references.check_digest(digest)
    if name.digest not in {None, digest}:
        raise UsageError(f'"{name.text}" names another digest than the file', why=f"the file has {digest}")
    return f"{name.tagged}@{digest}"


Signers = Annotated[
    list[str] | None,
    typer.Option("--signer", metavar="NAME", help="This signer must have signed the image. May be repeated."),
]
AllSigners = Annotated[
    bool, typer.Option("--all-signers", help="Every signer of the image's repository must have signed it.")
]
Roots = Annotated[
    list[str] | None,
    typer.Option(
        "--root", metavar="PIN", help="The root of its repository must be this one, or descend from it."
    ),
]
Policy = Annotated[
    str | None,
    typer.Option(
        "--policy", metavar="FILE", help="Trust policy, in place of the usual notarypy/policy.toml."
    ),
]


def verify_options(
    session: Run,
    signers: Sequence[str] | None,
    roots: Sequence[str] | None,
    policy: str | None,
    *,
    all_signers: bool,
) -> dict[str, Any]:
    """Return what is required as `Client.verify` takes it, and the policy into the session's options.

    Raises:
        UsageError: One of them cannot be meant.
    """
    for required in signers or ():
        roles.signer_role(required)
    take_policy(session, policy)
    return {"signers": signers or (), "all_signers": all_signers, "root": _only(roots)}


def take_policy(session: Run, policy: str | None) -> None:
    """Let the session's client obey this trust policy, if one is named."""
    if policy is not None:
        session.options.take("policy", policy)


def _only(pins: Sequence[str] | None) -> str | None:
    """Return the one PIN; of two, one would be left out without a word."""
    if len(pins or ()) > 1:
        raise UsageError(
            "--root was given more than once", why="one root is meant", advice=Advice("keep-one")
        )
    return roles.check_pin(pins[0]) if pins else None
