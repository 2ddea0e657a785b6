"""An entry that Go notary or we staged: what it is listed as.

What it is: the value of a change that lists a target, and the change of a state. What it is not: other
staged changes, or their order (`stagedchanges`).

Rules:

1. An entry is listed as it was staged, with these hashes and this custom data and no others, by any name
   that a file can have (`roles`, rule 5).
2. Its size is one that content can have, and one hash is one that anybody can check.
3. Go notary signs custom data as it is stored. What is stored in another form than the one that is signed,
   such as `<`, would be right now, and keep whoever uses Go from ever publishing that file again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.errors import MetadataError
from notarypy.tuf import canonical, roles
from notarypy.tuf.changes import AddTarget
from notarypy.tuf.fields import TargetFile
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.tuf.canonical import JsonObject


@dataclass(frozen=True)
class ListTarget(AddTarget):
    """List `name` with exactly this entry (rule 1)."""

    def changes(self, present: TargetFile | None, paths: tuple[str, ...]) -> bool:
        """Tell whether there is another entry, or none."""
        super().changes(present, paths)
        return present != self.content

    def check_name(self) -> None:
        """Raise InvalidNameError for a name that no file can have (rule 1)."""
        roles.check_listed_name(self.name)


def content_of(data: JsonObject) -> TargetFile:
    """Return the entry that a change has as its data; raise MetadataError (rules 2 and 3)."""
    content = TargetFile.from_json(data, "the entry")
    if not content.hashes.keys() & {"sha256", "sha512"}:
        raise MetadataError("the entry has no hash that anybody could check")
    if not canonical.is_kept_by_go(canonical.encode(content.custom)):
        why = "it holds < > & or a control or line separator character, which Go signs in another form"
        raise MetadataError("the custom data of the entry cannot be attached", why=why)
    return content
