"""What to do about findings: those of `doctor` on this machine, and those of reports about repositories.

What it is: the part of the table of advice that is about them. What it is not: findings, or errors.
"""

from __future__ import annotations

OF_DOCTOR: dict[str, str] = {
    # -- this machine
    "install-anew": "install it: pip install {package}",
    "mend-clock": "set this machine's clock by NTP: timedatectl set-ntp true; or tell the server's operator",
    "set-home": "name a directory of your own: export HOME=/home/NAME; or DOCKER_CONFIG, or --trust-dir DIR",
    "use-variable": "if {meant} is meant, set that; then: unset {name}",
    "unset": "correct it, or: unset {name}",
    "mend-findings": "do what these lines say, and run it again",
    # -- files
    "free-disk": "free some space on that disk",
    "free-quota": "free some space within the quota",
    "close-directory": "keep others out: chmod go-w {path}",
    "close-file": "keep others out: chmod 600 {path}",
    "close-private": "keep others out: chmod 700 {path}",
    "refresh-cache": "notarypy inspect {gun}",
    "remove-files": "nothing uses them: rm {files}",
    "touch-files": "look at this machine's clock, then: touch {files}",
    "migrate-keys": "see what would be moved: notarypy key migrate --dry-run; then: notarypy key migrate",
    "make-backup": "make one, and keep it elsewhere: notarypy backup FILE",
    # -- keys
    "encrypt-key": "notarypy key passwd {key}",
    "load-instead": "if it is a key, take it in: notarypy key load FILE; else move it away",
    "name-key": "say what it is for: notarypy key rename {key} NAME",
    "remove-key": "if nobody needs it any more: notarypy key remove {key}",
    "replace-signer-key": "have the signer make another, then: notarypy signer add --key PUB {name} {gun}",
    # -- servers and logins
    "leave-out-of-cache": (
        "have the operator of {host}, or of the proxy before it, keep */_trust/tuf/timestamp.json and "
        "*/_trust/tuf/root.json out of the cache"
    ),
    "leave-notary": "see what to do before: notarypy migrate report REPO",
    "mend-server-first": "mend what is said of {url} first",
    "renew-client-certificate": "ask whoever made it for another one",
    "renew-server-certificate": "tell the operator of {host}: it has to be renewed",
    "use-helper": "name a credential helper in credsStore there, then log in again: notarypy login {host}",
    # -- roots and pins
    "renew-root-early": (
        "whoever has its key renews it now, while readers can follow: notarypy renew --role root {gun}"
    ),
    "correct-pins": "ask the owner for the root pin, and leave that one alone in both",
    "pin-root": (
        'ask the owner for the root pin, and write it into the configuration: root = ["ROOT-PIN"] below '
        '[registry."{host}"]'
    ),
    # -- docker
    "install-plugin-anew": "write it: notarypy install-plugin",
    "share-with-notary": "have it use these: notary -d {path} list GUN; or take one: notarypy key load FILE",
    "set-content-trust": "to have docker verify: export DOCKER_CONTENT_TRUST=1",
}
OF_REPORTS: dict[str, str] = {
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
TEXTS = OF_DOCTOR | OF_REPORTS
