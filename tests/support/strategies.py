"""Hypothesis strategies for what the trust core reads: JSON, names, dates, signed files.

What it is: shared shapes of random input. What it is not: tests.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

MAX_INTEGER = 2**53

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
printable = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
integers = st.integers(-MAX_INTEGER, MAX_INTEGER)


def json_values(strings: st.SearchStrategy[str] = text) -> st.SearchStrategy[object]:
    """Any JSON value without fractions."""
    leaves = st.none() | st.booleans() | integers | strings
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings, inner, max_size=4),
        max_leaves=12,
    )


def json_objects(strings: st.SearchStrategy[str] = text) -> st.SearchStrategy[dict[str, object]]:
    """Any JSON object without fractions."""
    return st.dictionaries(strings, json_values(strings), max_size=5)


segments = st.text("abcxyz019-_", min_size=1, max_size=12)
delegations = st.lists(segments, min_size=1, max_size=4).map(lambda parts: "/".join(["targets", *parts]))
zones = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
signatures = st.fixed_dictionaries(
    {
        "keyid": st.text("0123456789abcdef", min_size=64, max_size=64),
        "method": st.sampled_from(["ecdsa", "rsapss", "eddsa", "rsapkcs1v15", "other"]),
        "sig": st.binary(max_size=80),
    }
)
