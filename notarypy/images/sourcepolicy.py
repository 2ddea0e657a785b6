"""A source policy of BuildKit: which images a build may take, and by which digest.

What it is: the JSON that `EXPERIMENTAL_BUILDKIT_SOURCE_POLICY` names. What it is not:
verification; it says what somebody has verified.

Rules:

1. BuildKit begins again after each CONVERT that changed something. What is left in the end
   is taken if the last rule that fits says ALLOW: so DENY for all images comes first.
2. Names are complete, as BuildKit asks for them: registry, path, and a tag or a digest.
3. What was left alone is allowed by its name, with any digest that the name leads to.
4. Sources that are no images are not spoken of.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from notarypy.images.mentions import in_full

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SCHEME = "docker-image://"


def rules(signed: Mapping[str, str], left: Sequence[str]) -> dict[str, object]:
    """Return the policy.

    Args:
        signed: Names of images to the same with the signed digest.
        left: Names of images that are taken as they are.
    """
    found: list[dict[str, object]] = [_rule("DENY", "REGEX", f"^{_SCHEME}")]
    for image, pinned in signed.items():
        before, after = _full(image), _full(pinned)
        if before != after:
            found.append({**_rule("CONVERT", "EXACT", before), "updates": {"identifier": after}})
        found.append(_rule("ALLOW", "EXACT", after))
    for image in dict.fromkeys(left):
        # What stands for itself in a pattern of Go's too: names have no other special characters.
        name = re.sub(r"[.\[\]]", lambda match: f"\\{match[0]}", _full(image))
        found.append(_rule("ALLOW", "REGEX", f"^{name}(@sha256:[0-9a-f]{{64}})?$"))
    return {"version": 1, "rules": found}


def _full(image: str) -> str:
    return f"{_SCHEME}{in_full(image)}"


def _rule(action: str, match: str, identifier: str) -> dict[str, object]:
    return {"action": action, "selector": {"identifier": identifier, "match_type": match}}
