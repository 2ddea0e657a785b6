"""What to do about content of any kind, and about changes that are staged.

What it is: a part of the table in `advice`, whose rules count. What it is not: the words of Go notary, which
its own program has.
"""

from __future__ import annotations

TEXTS = {
    "list-targets": "see which there are: notarypy notary list {gun}",
    "room-to-keep": "free some space, or set TMPDIR to a folder that has room",
}
