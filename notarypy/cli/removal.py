"""What removing signers, keys and paths asks and says: options, the decision about tags, and what was done.

What it is: shared by `delegate remove`, `delegate purge` and `signer remove`. What it is not: which tags need
a decision (`tuf.vouching`), or the removal (`client.publish.removing`).

Rules:

1. Tags that rest on what is removed alone are named, whatever becomes of them.
2. What becomes of them is said by an option or at a terminal. `--yes` says nothing of it: there is no answer
   that is usually right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from typer import Option

from notarypy.cli.text import render
from notarypy.client.parameters import Unverified
from notarypy.errors import Advice, UndecidedTagsError, UsageError

if TYPE_CHECKING:
    from notarypy.cli.run import Run
    from notarypy.client.results import PurgedKey, SignerRemoved
    from notarypy.tuf.vouching import RestingTag

Keep = Annotated[bool, Option("--keep-tags", help="Keep the tags that rest on what is removed alone.")]
Revoke = Annotated[bool, Option("--revoke-tags", help="Revoke the tags that rest on what is removed alone.")]
DryRun = Annotated[bool, Option("--dry-run", help="Say what would be removed; publish nothing.")]
_Removed = TypeVar("_Removed", bound="SignerRemoved | PurgedKey")
_ALL = "repository resigned kept unreadable needed revoked published"
_SHOWN = 100


@dataclass(frozen=True)
class Removal:
    """How signers and keys are to be removed."""

    force: bool
    tags: Literal["keep", "revoke"] | None
    dry_run: bool

    @classmethod
    def of(cls, force: bool, keep: bool, revoke: bool, dry_run: bool) -> Self:  # noqa: FBT001 - four options
        """Read the options, of which two exclude each other."""
        if keep and revoke:
            message = "--keep-tags and --revoke-tags are two decisions"
            raise UsageError(message, advice=Advice("leave-out-one"))
        return cls(force, "keep" if keep else "revoke" if revoke else None, dry_run)

    @property
    def removed(self) -> str:
        """What is said of what was removed."""
        return "would remove" if self.dry_run else "removed"

    def decided(self, run: Run, remove: Callable[..., _Removed]) -> _Removed:
        """Remove; where a decision is needed and somebody is there, ask for it (rule 2)."""
        how: dict[str, Any] = {"force": self.force, "tags": self.tags, "dry_run": self.dry_run}
        try:
            return remove(**how)
        except UndecidedTagsError as error:
            lines = [f"{error.message}:", *(f"  {line}" for line in error.why)]
            answer = run.choice(lines, "Keep or revoke them, or stop?", ("keep", "revoke", "stop"))
            if answer not in {"keep", "revoke"}:
                raise
            return remove(**{**how, "tags": answer})

    def report(
        self,
        run: Run,
        repo: str,
        done: SignerRemoved | PurgedKey,
        also: dict[str, Any],
        lines: list[str],
        *,
        resting: str = "only the removed keys signed these",
    ) -> None:
        """Say what was removed, and what became of the tags (rule 1); `also` is in the document too."""
        data = {
            **render.fields(done, _ALL),
            **also,
            "dry_run": self.dry_run,
            "resting": as_json(done.resting),
        }
        if done.resigned:
            lines += [f"{'would sign again' if self.dry_run else 'signed again'}: {', '.join(done.resigned)}"]
            lines += [f"tags kept: {', '.join(done.kept) or 'none'}"]
        if done.resting:
            lines += [f"{resting}, {self._became(done)}:", *self.listed(done.resting)]
        run.report.done(repo, data, *lines)
        if done.unreadable:
            who, what = ", ".join(done.needed) or "a signer", ", ".join(done.unreadable)
            run.report.warn(
                Unverified(f"{what} of {done.repository} cannot be verified until {who} signs again")
            )

    def listed(self, tags: Sequence[RestingTag]) -> list[str]:
        """Return lines that name tags: all of them in a dry run."""
        most = len(tags) if self.dry_run else _SHOWN
        more = [f"  and {left} more"] if (left := len(tags) - most) > 0 else []
        return [*(f"  {one}" for one in tags[:most]), *more]

    def _became(self, done: SignerRemoved | PurgedKey) -> str:
        if self.tags is None and self.dry_run:
            return "and --keep-tags or --revoke-tags decides"
        now = "revoked" if done.revoked else "kept"
        return f"and they would be {now}" if self.dry_run else f"and they are {now}"


def as_json(tags: Sequence[RestingTag]) -> list[dict[str, Any]]:
    """Return the tags as documents have them."""
    return [render.fields(one, "role tag digest") for one in tags]
