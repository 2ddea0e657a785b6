from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, urlencode

import pytest

from notarypy.limits import DEFAULT
from notarypy.remote.http import failures
from notarypy.remote.http.messages import HIDDEN, KEPT, NOTHING, Redaction, Request, Response
from notarypy.remote.http.transport import Exchange
from support.counting import work
from support.scripted import ScriptedTransport

URL = "https://registry.test/v2/"
SECRET = 'pä"ss/+?=~'
WHOLE = f"dev:{SECRET}".encode()
FORMS = {
    "plain": SECRET,
    "base64": b64encode(SECRET.encode()).decode(),
    "url-safe base64": urlsafe_b64encode(SECRET.encode()).decode(),
    "base64 without padding": b64encode(SECRET.encode()).decode().rstrip("="),
    "behind the user": b64encode(WHOLE).decode(),
    "url-safe behind the user": urlsafe_b64encode(WHOLE).decode().rstrip("="),
    "in a URL": quote(SECRET, safe=""),
    "in JSON": json.dumps(SECRET)[1:-1],
    "in hex": SECRET.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_secret_is_found_in_every_form(form: str) -> None:
    hidden = Redaction()
    hidden.note(SECRET, "dev")
    assert hidden.without(f"you said <{form}>, did you?").replace("=", "") == f"you said <{HIDDEN}>, did you?"


def test_what_was_not_noted_stays() -> None:
    hidden = Redaction()
    hidden.note("")
    assert hidden.without("text") == NOTHING.without("text") == "text"
    hidden.note("other")
    assert hidden.without("text, another") == f"text, an{HIDDEN}"


def test_the_latest_secrets_are_remembered() -> None:
    hidden = Redaction()
    for number in range(KEPT + 1):
        hidden.note(f"<secret {number}>")
    assert hidden.without(f"<secret {KEPT}> <secret 1>") == f"{HIDDEN} {HIDDEN}"
    assert hidden.without("<secret 0>") == "<secret 0>"


def test_a_secret_in_constant_use_is_remembered() -> None:
    hidden = Redaction()
    for number in range(2 * KEPT):
        hidden.note("<password>")
        hidden.note(f"<token {number}>")
        assert hidden.without("<password>") == HIDDEN


@pytest.mark.parametrize(
    ("headers", "body", "secret"),
    [
        ({"Authorization": f"Basic {b64encode(WHOLE).decode()}"}, None, SECRET),
        ({"Authorization": "Basic not-base64!"}, None, "not-base64!"),
        ({"authorization": "Bearer a.b.c"}, None, "a.b.c"),
        (
            {"Content-Type": "application/x-www-form-urlencoded"},
            urlencode({"service": "x", "refresh_token": SECRET}).encode(),
            SECRET,
        ),
    ],
)
def test_requests_say_what_is_secret(headers: dict[str, str], body: bytes | None, secret: str) -> None:
    hidden = Redaction()
    hidden.note_request(headers, body)
    assert hidden.without(f"service x: {secret}") == f"service x: {HIDDEN}"


def test_the_password_of_a_proxy() -> None:
    hidden = Redaction()
    hidden.note_url("http://dev:p%20w@proxy:1")
    assert hidden.without(f"p w p%20w {b64encode(b'dev:p w').decode()} proxy") == "*** *** *** proxy"


def test_error_documents_lose_secrets_before_they_are_shortened() -> None:
    hidden = Redaction()
    hidden.note(SECRET)
    padding = "x" * (DEFAULT.error_chars - 3)
    errors = [
        {"code": SECRET, "message": padding + SECRET, "detail": {"Name": SECRET, "Error": {"Msg": SECRET}}},
        {"code": "DIGEST_INVALID", "detail": SECRET},
    ]
    document = json.dumps({"errors": errors}).encode()
    first, second = failures.problems(Response(400, {}, document, hidden))
    assert first == failures.Problem("***", f"{padding}***", {"Name": "***", "Error": {"Msg": "***"}})
    assert second == failures.Problem("DIGEST_INVALID", "", "***")


def test_codes_that_are_acted_upon_are_kept() -> None:
    hidden = Redaction()
    hidden.note("DIGEST")
    document = b'{"errors": [{"code": "DIGEST_INVALID", "message": "DIGEST"}]}'
    assert failures.problems(Response(400, {}, document, hidden)) == (
        failures.Problem("DIGEST_INVALID", "***", None),
    )


def test_an_exchange_hides_what_it_sent_and_what_its_friends_sent() -> None:
    fake, shared = ScriptedTransport(), Redaction()
    fake.handler = lambda _: Response(200)
    one = Exchange(fake, timeout=60, configured=lambda: {"X-Meta-Key": "meta"}, secrets=shared)
    one.send(Request("GET", URL))
    other = Exchange(fake, timeout=60, secrets=shared)
    answer = other.send(Request("GET", URL, {"Authorization": "Bearer token"}))
    assert answer.secrets.without("meta token") == "*** ***"


def test_many_long_tokens_cost_no_search_for_a_common_pattern() -> None:
    hidden = Redaction()
    tokens = [f"{number}" * 200 for number in range(1000, 1100)]
    for token in tokens:
        hidden.note(token)
    found: list[str] = []
    assert work(lambda: found.append(hidden.without(f"{tokens[0]}, {tokens[-1]}, \U0010fffe"))) < 100
    assert found == ["***, ***, \U0010fffe"]


def test_what_hides_one_secret_is_not_taken_for_another() -> None:
    hidden = Redaction()
    for secret in ("longer than it", "*", "than"):
        hidden.note(secret)
    assert hidden.without("longer than it, than *") == "***, *** ***"
