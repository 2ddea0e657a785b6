"""What to do about what several people sign: a part of `advice`.

What it is: texts for parts and thresholds. What it is not: anything else.
"""

from __future__ import annotations

TEXTS = {
    "add-key-before": (
        "add the key that comes in its place first: notarypy delegate add {name} {gun} --key PUB; then run "
        "this again; a lower threshold meanwhile would let the key that goes sign with fewer"
    ),
    "add-signatures": (
        "with one of these keys: notarypy sign --offline-part {file}; then: notarypy sign --join {file}"
    ),
    "certify-anew": (
        "have each holder make a new one, notarypy key certify {gun} -o FILE, and name those and the ids of "
        "keys that stay: notarypy key rotate {gun} root --key FILE --key KEY"
    ),
    "join-part": "nothing is missing; publish it: notarypy sign --join {file}",
    "make-part-anew": "make it anew, by the command that made it; the signatures so far are lost",
    "name-part-file": "name one: --offline-part FILE",
    "other-part-file": "name another file; to add your signature to this one leave the REF out",
    "sign-in-parts": (
        "run it with --offline-part FILE, have others sign that with theirs: "
        "notarypy sign --offline-part FILE; then: notarypy sign --join FILE"
    ),
    "renew-in-parts": (
        "notarypy renew --offline-part FILE {gun}; have others sign that with theirs: "
        "notarypy sign --offline-part FILE; then: notarypy sign --join FILE"
    ),
    "raise-releases": (
        "let all releases take as many: notarypy delegate add targets/releases {gun} "
        "--threshold {threshold}; or keep it out with --no-releases"
    ),
}
