from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notarypy.remote.auth.challenges import parse

REGISTRY = 'Bearer realm="https://auth.example/token",service="svc",scope="repository:a/b:push,pull"'


def test_reads_what_registries_send() -> None:
    (challenge,) = parse(REGISTRY)
    assert challenge.scheme == "bearer"
    assert challenge.get("realm") == "https://auth.example/token"
    assert challenge.get("scope") == "repository:a/b:push,pull"
    assert challenge.get("error") == ""


def test_several_schemes_in_one_line() -> None:
    found = parse(f'Basic realm="a, b=c", Negotiate abc==, {REGISTRY}, Digest realm=x, NTLM')
    assert [challenge.scheme for challenge in found] == ["basic", "negotiate", "bearer", "digest", "ntlm"]
    assert found[0].get("realm") == "a, b=c"
    assert found[2].get("service") == "svc"
    assert found[3].get("realm") == "x"


@pytest.mark.parametrize(
    ("header", "realm"),
    [
        (r'Basic realm="say \"hi\" \\ there"', r'say "hi" \ there'),
        ("BASIC REALM = plain", "plain"),
        ('Basic realm="x" , charset="UTF-8"', "x"),
        ('Basic realm="x" charset="UTF-8"', "x"),
        ("Basic realm=https://no.quotes/token", "https://no.quotes/token"),
        ('Basic realm=""', ""),
        (', , Basic realm="x"', "x"),
    ],
)
def test_odd_but_readable(header: str, realm: str) -> None:
    (challenge,) = parse(header)
    assert (challenge.scheme, challenge.get("realm")) == ("basic", realm)


@pytest.mark.parametrize("header", ["", ",,,", '"quoted"', "= nothing", 'Basic realm="a", realm="b"'])
def test_nothing_usable(header: str) -> None:
    assert parse(header) == ()


def test_an_unfinished_parameter_is_left_out() -> None:
    (challenge,) = parse('Bearer realm="https://a/t",service="never ends')
    assert challenge.parameters == {"realm": "https://a/t"}


@given(st.text(alphabet='Bearer=", \\\t\x00é', max_size=60))
def test_never_fails(header: str) -> None:
    for challenge in parse(header):
        assert challenge.scheme


def test_a_long_header_takes_no_time() -> None:
    assert parse("Basic realm=" + '"' * 60_000) == parse("Basic realm=")
    assert parse("a" * 60_000)[0].scheme == "a" * 60_000
    assert len(parse("a=" * 30_000)) == 0
    assert len(parse("a ," * 20_000)) == 20_000
