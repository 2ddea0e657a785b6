"""What to do about staged changes: a part of `advice`.

What it is: texts for the changelist, in the words of `notary`, Go's or ours. What it is not: anything else.
"""

from __future__ import annotations

TEXTS = {
    "drop-staged": "none of it can be read any more; drop all of it: notary reset {gun} --all",
    "drop-unreadable": "remove that file, or drop all that is staged: notary reset {gun} --all",
    "publish-begun": (
        "publish it: notary publish {gun}; or begin anew without what is here: notary delete {gun}"
    ),
    "publish-staged": "publish them: notary publish {gun}; or drop them: notary reset {gun} --all",
    "publish-unpublished": (
        "publish it: notary publish {gun}; if that was done, name the right server, or ask its operator"
    ),
    "use-published": "use it as it is, see: notary list {gun}; or choose another name",
    "reset-staged": "drop it, and publish the others: notary reset {gun} -n {number}",
}
