"""What commands that verify images require of them: the options that they share.

What it is: these options, read and checked before anything is asked. What it is not:
the judgment (`client.verification`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from notarypy.errors import Advice, UsageError
from notarypy.tuf import roles
from notarypy.tuf.pinning import check_pin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.cli.session import Session

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


def read(
    session: Session,
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


def take_policy(session: Session, policy: str | None) -> None:
    """Let the session's client obey this trust policy, if one is named."""
    if policy is not None:
        session.options.take("policy", policy)


def _only(pins: Sequence[str] | None) -> str | None:
    """Return the one PIN; of two, one would be left out without a word."""
    if len(pins or ()) > 1:
        raise UsageError(
            "--root was given more than once", why="one root is meant", advice=Advice("keep-one")
        )
    return check_pin(pins[0]) if pins else None
