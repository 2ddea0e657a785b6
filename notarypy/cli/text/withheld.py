"""Key URIs in what is shown: without what could be a secret in them.

What it is: a quick look, as hardly any text has such a URI. What it is not: what in a URI may be a secret
(`keys.formats.urisecrets`).
"""

from __future__ import annotations

from typing import Any


def may_be_in(text: str) -> bool:
    """Tell whether a text may have a key URI with more than a name in it, without a pattern to compile."""
    return ":" in text and any(map(_begins_a_uri, text.split()))


def _begins_a_uri(word: str) -> bool:
    """Tell whether a word may have a scheme, and what separates attributes, options or a user from it."""
    inner = word.partition(":")[2].rstrip(";")
    return "=" in inner or "?" in inner or ";" in inner or ("//" in inner and "@" in inner)


def secrets(text: str) -> str:
    """Return a text without what could be a secret in a key URI."""
    if not may_be_in(text):
        return text
    from notarypy.keys.formats import urisecrets  # few commands show any

    return urisecrets.shown(text)


def all_secrets(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a JSON value, the texts in it as `secrets` returns them."""
    if isinstance(value, str):
        return secrets(value)
    if isinstance(value, list):
        return [all_secrets(each) for each in value]
    return {key: all_secrets(each) for key, each in value.items()} if isinstance(value, dict) else value
