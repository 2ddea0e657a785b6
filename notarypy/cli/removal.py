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
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from notarypy.cli.declared import Option
from notarypy.cli.text import render
from notarypy.client.parameters import Unverified
from notarypy.errors import Advice, UndecidedTagsError, UsageError, beginning
from notarypy.tuf import roles
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.cli.run import Run
    from notarypy.client.results import PurgedKey, SignerRemoved
    from notarypy.client.workers import Outcome
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

    def tried(self, remove: Callable[..., _Removed], repo: str) -> _Removed:
        """Remove from a repository, as far as it is decided."""
        return remove(repo, force=self.force, tags=self.tags, dry_run=self.dry_run)

    def decided(self, run: Run, found: Outcome[_Removed], remove: Callable[..., _Removed]) -> _Removed:
        """Return what was removed; where a decision is needed and somebody is there, ask for it (rule 2)."""
        try:
            return found.get()
        except UndecidedTagsError as error:
            lines = [f"{error.message}:", *(f"  {line}" for line in error.why)]
            answer = run.choice(lines, "Keep or revoke them, or stop?", ("keep", "revoke", "stop"))
            if answer not in {"keep", "revoke"}:
                raise
            return remove(force=self.force, tags=answer, dry_run=self.dry_run)

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
            whatever = ", whatever is decided" if done.revoked is None else ""
            lines += [f"tags kept{whatever}: {', '.join(done.kept) or 'none'}"]
        if done.resting:
            lines += [f"{resting}, {self._became(done)}:", *self.listed(done.resting)]
        run.report.done(repo, data, *lines)
        if done.unreadable:
            what = f"{', '.join(done.unreadable)} of {done.repository} cannot be verified"
            run.report.warn(Unverified(f"{what} {_until(done)}"))

    def listed(self, tags: Sequence[RestingTag]) -> list[str]:
        """Return lines that name tags: all of them in a dry run."""
        most = len(tags) if self.dry_run else _SHOWN
        return [f"  {line}" for line in beginning(list(map(str, tags)), most)]

    def _became(self, done: SignerRemoved | PurgedKey) -> str:
        if done.revoked is None:
            return "and nobody decided: --keep-tags or --revoke-tags"
        now = "revoked" if done.revoked else "kept"
        return f"and they would be {now}" if self.dry_run else f"and they are {now}"


def _until(done: SignerRemoved | PurgedKey) -> str:
    """Say until when files cannot be verified."""
    if done.needed or roles.RELEASES not in done.unreadable:
        return f"until {', '.join(done.needed) or 'a signer'} signs again"
    return (
        "any more: nobody is left to sign again; to start over: "
        f"notarypy delegate remove {roles.RELEASES} {done.repository}"
    )


def as_json(tags: Sequence[RestingTag]) -> list[dict[str, Any]]:
    """Return the tags as documents have them."""
    return [render.fields(one, "role tag digest") for one in tags]
