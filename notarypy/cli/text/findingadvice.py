"""What to do about findings in a report: who may sign, what is signed, and what no role stands behind.

What it is: a part of the table in `advice`. What it is not: findings, or errors.
"""

from __future__ import annotations

TEXTS: dict[str, str] = {
    # -- keys
    "key-for-each": (
        "give each a key of their own: notarypy delegate add NAME {gun} --key PUB; then take the shared one "
        "out: notarypy delegate purge {gun} KEY"
    ),
    "more-root-keys": (
        "keep copies of root keys in places apart; or give the root several keys, of which some sign, as in: "
        "notarypy key rotate {gun} root --key KEY --key CERT --key CERT --threshold 2"
    ),
    "raise-targets-threshold": (
        "where one person is not to be enough, let two sign: notarypy key rotate {gun} targets "
        "--key KEY --key PUB --threshold 2; one key alone is usual where it is kept well"
    ),
    "raise-thresholds": (
        "where one person is not to be enough, let two sign: notarypy delegate add NAME {gun} --key PUB "
        "--threshold 2; one key alone is usual where it is kept well"
    ),
    "separate-keys": "give the other role a key of its own: notarypy key rotate {gun} ROLE",
    "server-snapshot": (
        "let the server keep it, unless it is kept here on purpose: notarypy key rotate {gun} snapshot "
        "--server-managed"
    ),
    # -- roles and tags
    "mend-paths": (
        "whoever has the keys of the role above changes what it may sign, or takes it out: notarypy delegate "
        "remove {role} {gun}"
    ),
    "release-tag": (
        "whoever releases signs it too, if it is to be used: notarypy sign {reference}; or revoke it: "
        "notarypy revoke {reference}"
    ),
    "settle-tag": (
        "find out which of them is meant, and sign that: notarypy sign {reference}; or take the others back: "
        "notarypy revoke --signer NAME {reference}"
    ),
    "stand-behind": (
        "if it is right, sign it anew: notarypy sign {reference}; otherwise: notarypy revoke {reference}"
    ),
    "mend-dates": "do what is said of the dates that have ended",
    # -- what could not be looked at, or verified
    "look-again": "look at the reason, and make the report again",
    "see-history": "see which, and ask who published then: notarypy history {gun}",
}
