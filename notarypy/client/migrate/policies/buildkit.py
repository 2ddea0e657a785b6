"""`Dockerfile.rego`, the source policy that buildx reads beside a Dockerfile.

Rules:

1. buildx verifies no signature with a key: its policies know keyless ones alone. So this names digests, those
   that each tag of a repository had, verified, when it was written.
2. A tag is pinned to its digest, whatever the registry serves. A digest has to be one of these, and that of
   its tag where there is one.
3. Data stands in JSON, which Rego reads as it is: no name can end a text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from notarypy.client.migrate.policies.rules import sentences
from notarypy.client.results import PolicyFiles
from notarypy.kubernetes import yamltext
from notarypy.tuf import roles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from notarypy.client.migrate.policies.rules import Rule

_NOTES = sentences("""
buildx verifies no signatures by public keys, so this names the digests that the released tags had when
it was written, and no keys: write it anew after each release.

It is read by buildx 0.31 and later, as Dockerfile.rego beside Dockerfile, or with --policy
filename=FILE.
""")
_TEXT = """
package docker

import rego.v1

released := %s

prefixes := %s

default allow := false

allow if not input.image

decided if released[input.image.fullRepo]

tag := object.get(input.image, "tag", "latest")

# A tag becomes its signed digest.
allow if {
	not input.image.isCanonical
	pin_image(input.image, released[input.image.fullRepo][tag])
}

allow if {
	input.image.isCanonical
	input.image.tag
	released[input.image.fullRepo][input.image.tag] == input.image.checksum
}

allow if {
	input.image.isCanonical
	not input.image.tag
	some digest in released[input.image.fullRepo]
	digest == input.image.checksum
}

# Of the prefixes that fit the longest counts.
named := sprintf("%%s/", [input.image.fullRepo])

fitting := {prefix | some prefix, _ in prefixes; startswith(named, sprintf("%%s/", [prefix]))}

longest := max({count(prefix) | some prefix in fitting})

allow if {
	not decided
	some prefix in fitting
	count(prefix) == longest
	prefixes[prefix]
}

allow if {
	input.image
	not decided
	count(fitting) == 0
	prefixes["*"]
}

deny_msg contains "this image is not among those that were released when this policy was written" if not allow

decision := {"allow": allow, "deny_msg": [message | some message in deny_msg]}
"""


def render(rules: Sequence[Rule], notes: Sequence[str]) -> PolicyFiles:
    """Return the policy; a rule without digests refuses."""
    released = {rule.prefix: rule.released for rule in rules if rule.verdict == "verify" and rule.alone}
    prefixes = {rule.prefix: rule.verdict == "accept" for rule in rules if rule.prefix not in released}
    prefixes.setdefault(roles.ANY, False)
    unread = ", ".join(rule.prefix for rule in rules if rule.verdict == "verify" and not rule.alone)
    without = f"Whatever is in {unread} is refused: name its repositories, so that their digests are known."
    said = (*_NOTES, *([without] if unread else ()), *notes)
    text = _TEXT % (_json(released), _json(prefixes))
    return PolicyFiles("rego", {"Dockerfile.rego": yamltext.comment(*said) + text}, said)


def _json(value: object) -> str:
    return json.dumps(value, indent="\t", sort_keys=True)
