"""The fixtures for users, as the page about them shows."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from notarypy import Client, PassphraseRequest, testing
from notarypy.errors import (
    BackendMissingError,
    ExpiredError,
    KeyChangedError,
    KeyMissingError,
    MetadataError,
    PassphraseNeededError,
    PinWrongError,
    TagUnsignedError,
    ThrottledError,
)
from notarypy.keys.passphrases import CallbackSource
from notarypy.keys.signers import backend
from notarypy.remote.http.messages import Request
from notarypy.tuf import envelope

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[1] / "docs" / "devserver.md"
notary_client, registry = testing.notary_client, testing.registry
notary_server, trust_dir = testing.notary_server, testing.trust_dir
notary_clock = testing.notary_clock
notary_signers, fake_kms, fake_signer = testing.notary_signers, testing.fake_kms, testing.fake_signer


@pytest.mark.slow
def test_the_example_of_the_page_passes(tmp_path: Path) -> None:
    for name, text in re.findall(r"^```python (\S+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 passed" in done.stdout


def test_the_page_names_every_fixture() -> None:
    named = re.findall(r"^\| `(\w+)` \|", PAGE.read_text().partition("| fixture |")[2], re.MULTILINE)
    assert set(named) == {name for name in testing.__all__ if name.islower()}


def test_a_test_begins_with_nothing(
    notary_client: Client, notary_server: testing.NotaryServer, registry: testing.Registry, trust_dir: Path
) -> None:
    assert notary_server.requests == []
    assert not trust_dir.exists()
    assert notary_client.keys.list() == []
    assert notary_server.fake.registry.images.names() == []
    assert registry.reference("app") == "registry.test/app:latest"


def test_one_platform_or_several(registry: testing.Registry, notary_client: Client) -> None:
    registry.push("app", "one", platforms=["amd64"])
    registry.push("app", "two")
    key, public = notary_client.keys.generate("ci")
    notary_client.init("registry.test/app", signer="ci", keys=[public])
    one, two = notary_client.sign(["registry.test/app:one", "registry.test/app:two"])
    assert (one.platforms, two.platforms) == ((), ("linux/amd64", "linux/arm64"))
    assert key.role == "ci"


@pytest.fixture
def app(notary_client: Client, registry: testing.Registry) -> str:
    """Return a signed tag of an image whose trust data is in no cache."""
    registry.push("app", "1")
    _, public = notary_client.keys.generate("ci")
    notary_client.init("registry.test/app", signer="ci", keys=[public])
    notary_client.sign(["registry.test/app:1"])
    return "registry.test/app:1"


def past(signed: dict[str, Any]) -> None:
    signed["expires"] = "2020-01-01T00:00:00Z"


def test_the_server_renews_until_somebody_tampers(
    notary_server: testing.NotaryServer, notary_client: Client, app: str
) -> None:
    assert notary_server.fake.notary.renews
    notary_server.tampering.sign_timestamp("registry.test/app", past)
    with pytest.raises(ExpiredError, match="timestamp"):
        notary_client.verify(app)
    notary_server.tampering.sign_snapshot("registry.test/app", past)
    with pytest.raises(ExpiredError, match="snapshot"):
        notary_client.verify(app)


def test_what_was_put_there_is_served_as_it_is(
    notary_server: testing.NotaryServer, notary_client: Client, app: str
) -> None:
    for role in ("timestamp", "snapshot"):
        notary_server.tampering.replace("registry.test/app", role, b"{}")
        url = f"{notary_server.url}/v2/registry.test/app/_trust/tuf/{role}.json"
        answer = notary_server.fake.send(Request("GET", url), time.monotonic() + 5)
        assert (answer.status, answer.body) == (200, b"{}")
    with pytest.raises(MetadataError):
        notary_client.verify(app)


def test_what_is_not_signed_is_not_verified(notary_client: Client, registry: testing.Registry) -> None:
    registry.push("app", "1")
    notary_client.init("registry.test/app")
    with pytest.raises(TagUnsignedError):
        notary_client.verify("registry.test/app:1")


# -- another time


def test_the_clock_goes_on_from_where_it_is_set(notary_clock: testing.Clock) -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    notary_clock.set(moment)
    first, second = notary_clock(), notary_clock()
    assert moment <= first <= second < moment + timedelta(hours=1)
    notary_clock.advance(days=1, hours=-2)
    assert notary_clock() - first >= timedelta(hours=22)
    with pytest.raises(ValueError, match="time zone"):
        notary_clock.set(datetime(2030, 1, 1))  # noqa: DTZ001 - that is the mistake


def test_the_clock_is_that_of_servers_and_client(
    notary_clock: testing.Clock, notary_server: testing.NotaryServer, notary_client: Client, app: str
) -> None:
    notary_client.sign([app])
    before = notary_client.verify(app).expires
    notary_clock.advance(days=30)  # the timestamp's two weeks are over: the server makes another one
    assert notary_server.fake.notary.now() > datetime.now(UTC) + timedelta(days=29)
    after = notary_client.verify(app).expires
    assert before is not None
    assert after is not None
    assert after > notary_clock() > before
    notary_clock.advance(days=3 * 365)
    with pytest.raises(ExpiredError, match="targets"):
        notary_client.verify(app)


# -- images for several platforms


def test_an_index_is_made_of_what_was_pushed(notary_client: Client, registry: testing.Registry) -> None:
    one = registry.push("app", "amd", platforms=["amd64"])
    registry.push("app", "arm", platforms=["arm"])
    pushed = registry.push_index("app", "1", {"linux/amd64": one, "linux/arm/v7": "arm"})
    assert registry.push_index("app", "2", {"linux/amd64": "amd", "linux/arm/v7": "arm"}) == pushed
    _, public = notary_client.keys.generate("ci")
    notary_client.init("registry.test/app", signer="ci", keys=[public])
    (signed,) = notary_client.sign(["registry.test/app:1"])
    assert (signed.digest, signed.platforms) == (pushed, ("linux/amd64", "linux/arm/v7"))
    with pytest.raises(KeyError, match="app has no 3"):
        registry.push_index("app", "1", {"linux/amd64": "3"})


# -- keys that fail


@pytest.mark.parametrize("algorithm", ["ecdsa", "rsa"])
def test_a_fake_signer_signs_until_it_is_told_otherwise(algorithm: Literal["ecdsa", "rsa"]) -> None:
    signer = testing.FakeSigner(algorithm)
    method, signature = signer.sign(b"one")
    assert envelope.verify(signer.public, method, signature, b"one")
    signer.wrong = True
    assert not envelope.verify(signer.public, *signer.sign(b"two"), b"two")
    signer.error = KeyError("of any type")
    with pytest.raises(KeyError):
        signer.sign(b"three")
    signer.before = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        signer.sign(b"four")
    assert signer.messages == [b"one", b"two", b"three", b"four"]


def test_a_fake_signer_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    signer = testing.FakeSigner()
    signer.delay = 2.5
    signer.sign(b"message")
    assert slept == [2.5]


def other_key(kms: testing.FakeKms) -> None:
    kms.make("release")


def no_key(kms: testing.FakeKms) -> None:
    del kms.keys["release"]


def busy(kms: testing.FakeKms) -> None:
    kms.error = ThrottledError("busy")


@pytest.mark.parametrize(
    ("change", "error"), [(other_key, KeyChangedError), (no_key, KeyMissingError), (busy, ThrottledError)]
)
def test_a_key_in_the_fake_kms(
    notary_client: Client,
    fake_kms: testing.FakeKms,
    change: Callable[[testing.FakeKms], None],
    error: type[Exception],
) -> None:
    stored = notary_client.keys.add(fake_kms.make("release"), name="ci")
    assert stored.uri == "fakekms:release"
    assert fake_kms.requests == ["open release"]
    assert notary_client.keys.test(stored.keyid).properties == {"type": "ecdsa", "signatures": "1"}
    assert fake_kms.requests[1:] == ["sign release", "properties release"]
    change(fake_kms)
    with pytest.raises(error):
        notary_client.keys.test(stored.keyid)


def test_the_fake_kms_takes_its_pin_alone(
    notary_server: testing.NotaryServer, fake_kms: testing.FakeKms, trust_dir: Path
) -> None:
    asked: list[str] = []

    def pin(request: PassphraseRequest) -> str:
        asked.append(request.token)
        return "1234"

    fake_kms.pin = "1234"
    with Client(
        trust_dir=trust_dir, transport=notary_server.fake, passphrases=CallbackSource(pin, pins=True)
    ) as client:
        stored = client.keys.add(fake_kms.make("release"), name="ci")
        client.keys.test(stored.keyid)
        fake_kms.pin = "4321"
        with pytest.raises(PinWrongError) as caught:
            client.keys.test(stored.keyid)
    assert asked == ["fakekms", "fakekms"]
    assert "1234" not in str(vars(caught.value))


def test_a_function_for_passphrases_is_asked_for_no_pin(
    notary_server: testing.NotaryServer, fake_kms: testing.FakeKms, trust_dir: Path
) -> None:
    fake_kms.pin = "1234"
    with Client(
        trust_dir=trust_dir, transport=notary_server.fake, passphrases=lambda _: testing.PASSPHRASE
    ) as client:
        stored = client.keys.add(fake_kms.make("release"), name="ci")
        fake_kms.requests.clear()
        with pytest.raises(PassphraseNeededError, match='no PIN for the token "fakekms"') as caught:
            client.keys.test(stored.keyid)
    assert "the callback is not asked for PINs" in caught.value.why[0]
    assert fake_kms.requests == []
    asked: list[str] = []

    def prompt(text: str) -> str:
        asked.append(text)
        return "1234"

    prompted = Client.from_environment({"HOME": str(trust_dir)}, trust_dir=trust_dir, prompt=prompt)
    prompted.keys.test(stored.keyid)
    assert asked == ['PIN of token "fakekms": ']


def test_the_fixtures_client_has_a_pin_for_every_token(
    notary_client: Client, fake_kms: testing.FakeKms
) -> None:
    fake_kms.pin = testing.PASSPHRASE
    notary_client.keys.test(notary_client.keys.add(fake_kms.make("release"), name="ci").keyid)


def test_no_test_leaves_a_fake_kms_behind() -> None:
    with pytest.raises(BackendMissingError, match="nothing here signs with keys at fakekms:"):
        backend("fakekms:release")
