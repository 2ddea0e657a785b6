from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from notarypy import files
from notarypy.cli.text.advice import advice
from notarypy.errors import Advice, ConfigurationError, TlsError
from notarypy.storage.settings import servers

if TYPE_CHECKING:
    from pathlib import Path


def shown(found: Advice | None) -> str:
    return advice(TlsError("", advice=found))


def put(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_nothing_there_is_nothing_found_and_says_where_it_looked(tmp_path: Path) -> None:
    found = servers.find([tmp_path], "h:5000", None, None)
    assert (found.replace_ca, found.extra_ca, found.client_cert, found.client_key) == (None, (), None, None)
    assert found.searched == ("the CA certificates of this system", f"{tmp_path / 'h:5000'} (no *.crt)")


def test_nobody_is_sent_to_a_home_that_is_not_there(tmp_path: Path) -> None:
    found = servers.find([files.NO_HOME / ".docker" / "tls"], "h:5000", None, None, options=True)
    assert shown(found.advice) == "name the CA certificate of this server: --tlscacert FILE"
    assert shown(found.client_advice) == "name the client certificate and its key: --tlscert, --tlskey"
    assert found.searched == ("the CA certificates of this system",)
    found = servers.find([tmp_path, files.NO_HOME], "h:5000", None, None)
    assert shown(found.advice).endswith(f"{tmp_path / 'h:5000' / 'ca.crt'}")


def test_finds_cas_and_the_client_pair_of_one_host(tmp_path: Path) -> None:
    put(tmp_path / "h:5000", "b.crt", "a.crt", "x.cert", "x.key", "y.cert", "y.key", "readme")
    put(tmp_path / "other:5000", "c.crt")
    folder = tmp_path / "h:5000"
    found = servers.find([tmp_path], "H:5000", None, None)
    assert found.extra_ca == (folder / "a.crt", folder / "b.crt")
    assert (found.client_cert, found.client_key) == (folder / "x.cert", folder / "x.key")
    assert found.searched[1] == f"{folder} (2 *.crt)"


def test_port_443_may_be_left_out(tmp_path: Path) -> None:
    put(tmp_path / "h", "a.crt")
    put(tmp_path / "h:443", "b.crt")
    for host in ("h", "h:443"):
        found = servers.find([tmp_path], host, None, None)
        assert [path.name for path in found.extra_ca] == ["a.crt", "b.crt"]
    assert servers.find([tmp_path], "h:5000", None, None).extra_ca == ()


def test_several_places_add_up(tmp_path: Path) -> None:
    for base in ("one", "two"):
        put(tmp_path / base / "[::1]:5000", "a.crt")
    found = servers.find([tmp_path / "one", tmp_path / "two"], "[::1]:5000", None, None)
    assert len(found.extra_ca) == 2


def test_a_named_ca_replaces_the_rest_and_a_named_pair_wins(tmp_path: Path) -> None:
    put(tmp_path / "h:5000", "a.crt", "x.cert", "x.key")
    ca, pair = tmp_path / "ca.pem", (tmp_path / "c", tmp_path / "k")
    found = servers.find([tmp_path], "h:5000", ca, pair)
    assert (found.replace_ca, found.extra_ca, found.client_cert, found.client_key) == (ca, (), *pair)
    assert found.searched == (f"{ca}, in place of the CA certificates of this system",)


@pytest.mark.parametrize("name", ["x.cert", "x.key"])
def test_half_a_client_pair_is_refused(tmp_path: Path, name: str) -> None:
    put(tmp_path / "h:5000", name)
    with pytest.raises(ConfigurationError, match="has no counterpart") as caught:
        servers.find([tmp_path], "h:5000", None, None)
    assert advice(caught.value).endswith(f"there, or remove {name}")


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "h:5000")
    with pytest.raises(TlsError, match="cannot look for certificates") as caught:
        servers.find([tmp_path], "h:5000", None, None)
    assert str(tmp_path / "h:5000") in advice(caught.value)


def test_the_places_are_told_with_what_to_do(tmp_path: Path) -> None:
    put(tmp_path / "h:5000", "x.cert", "x.key")
    folder = tmp_path / "h:5000"
    copy = f"copy the CA certificate of this server to {folder / 'ca.crt'}"
    found = servers.find([tmp_path], "h:5000", None, None)
    assert shown(found.advice) == copy
    assert found.client_searched == (f"{folder} (x.cert)",)
    assert shown(found.client_advice) == f"put X.cert and X.key into {folder}"
    found = servers.find([tmp_path], "h:5000", None, None, options=True)
    assert shown(found.advice) == f"{copy}, or name it: --tlscacert"
    assert shown(found.client_advice).endswith(", or name them: --tlscert, --tlskey")
    found = servers.find([tmp_path], "g", tmp_path / "ca.pem", None)
    assert shown(found.advice) == f"see whether {tmp_path / 'ca.pem'} has the CA of this server"
    assert found.client_searched[0] == f"{tmp_path / 'g'} (no X.cert with X.key)"
    named = servers.find([tmp_path], "h:5000", None, (tmp_path / "c", tmp_path / "k"))
    assert named.client_searched == (f"{tmp_path / 'c'}",)


def test_variables_that_name_the_systems_store_are_told(tmp_path: Path) -> None:
    environ = {"SSL_CERT_FILE": "/ca.pem", "SSL_CERT_DIR": ""}
    found = servers.find([tmp_path], "h", None, None, environ=environ)
    assert found.searched[0] == "the CA certificates of this system (SSL_CERT_FILE=/ca.pem)"
