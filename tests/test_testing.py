"""The fixtures for users, as the page about them shows."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from notarypy import testing
from notarypy.errors import ExpiredError, MetadataError, TagUnsignedError
from notarypy.remote.http.messages import Request

if TYPE_CHECKING:
    from notarypy import Client

PAGE = Path(__file__).parents[1] / "docs" / "devserver.md"
notary_client, registry = testing.notary_client, testing.registry
notary_server, trust_dir = testing.notary_server, testing.trust_dir


@pytest.mark.slow
def test_the_example_of_the_page_passes(tmp_path: Path) -> None:
    for name, text in re.findall(r"^```python (\S+)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


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
