"""Go notary's `config.json` in the form of our own settings.

What it is: which of its keys mean what here. What it is not: reading files
(`config`), and its passphrases, which never stand in this file.

Its one server, with its CA, is for every registry. Keys count in any case, as
Go reads them; GUNs in `trust_pinning` keep theirs, where Go forgets it and such
pins never match. The files of `trust_pinning.ca` are relative to the configuration
file, where Go takes the working directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.errors import Advice
from notarypy.storage.config import FileSettings, RegistrySettings

if TYPE_CHECKING:
    from notarypy.storage.config import Section

_SERVER_KEYS = ("url", "root_ca", "tls_client_cert", "tls_client_key", "skiptlsverify")
_OFF = (None, False, 0, "", "0", "f", "false")


def read(top: Section) -> FileSettings:
    """Read the file's content.

    Raises:
        ConfigurationError: A key is unknown, or asks for what is not done here.
    """
    top = top.lowered()
    top.require_known("trust_dir", "remote_server", "trust_pinning")
    server = top.section("remote_server").lowered()
    server.require_known(*_SERVER_KEYS)
    _refuse_unverified_tls(server)
    pinning = top.section("trust_pinning").lowered()
    pinning.require_known("certs", "ca", "disable_tofu")
    cert, key = server.file("tls_client_cert"), server.file("tls_client_key")
    if (cert is None) != (key is None):
        raise server.problem("tls_client_cert", "tls_client_cert and tls_client_key go together")
    everywhere = RegistrySettings(server.server("url"), server.file("root_ca"))
    certs, authorities = pinning.section("certs"), pinning.section("ca")
    return FileSettings(
        trust_dir=top.file("trust_dir", base=Path.cwd()),
        registries={} if everywhere == RegistrySettings() else {"*": everywhere},
        tls_cert=cert,
        tls_key=key,
        gun_pins={gun: certs.pins(gun) for gun in certs.names()},
        gun_authorities={prefix: authorities.required_file(prefix) for prefix in authorities.names()},
        first_use=_is_off(pinning.value("disable_tofu")),
    )


def _is_off(value: object) -> bool:
    return (value.lower() if isinstance(value, str) else value) in _OFF


def _refuse_unverified_tls(server: Section) -> None:
    if not _is_off(server.value("skiptlsverify")):
        raise server.problem(
            "skipTLSVerify",
            "certificates of servers are always verified",
            Advice("trust-ca-instead"),
        )
