"""What to do about what goes wrong with the programs that stand in for Go's: docker-trust and notary.

What it is: a part of the table in `advice`. What it is not: other words for the advice of notarypy, which a
program has itself.
"""

from __future__ import annotations

TEXTS = {
    "answer-yes": "answer yes if this is what you want",
    "choose-plugin-name": "choose another",
    "copy-plugin": "use docker-trust itself, the program beside notarypy",
    "list-targets": "see which there are: notary list {gun}",
    "give-waiting-stream": "hand over a stream that waits, or one with a file descriptor",
    "room-to-keep": "free some space, or set TMPDIR to a folder that has room",
}
