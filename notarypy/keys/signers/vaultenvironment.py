"""What an environment says of a Vault or OpenBao server: where it is, who asks it, and whom to trust.

What it is: variables and a file of a token, read and checked. What it is not: any request (`vaultserver`).

Rules:

1. The environment says each time which server is asked, and by whom: cosign's variables `VAULT_*`, or, where
   there is no `VAULT_ADDR`, OpenBao's `BAO_*`. The two are never mixed: the token for one server does not go
   to the other one. The token is read anew for each request, for an agent renews it in its file.
2. The server is asked over https, over http on this machine alone, and its certificate counts always: there
   is no way to turn that off, for whoever answers gets a token that signs.
3. What cannot be used is told by the name of its variable, and without the value of one that may be a secret.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy import files
from notarypy.errors import Advice, AuthenticationError, ConfigurationError, TlsError
from notarypy.limits import DEFAULT
from notarypy.remote.http import tls
from notarypy.remote.http.adapter import HttpTransport
from notarypy.remote.http.urls import host_port, is_loopback, origin, proxy_for

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping

_VAULT, _OPENBAO = "VAULT_", "BAO_"
_MOUNT = "TRANSIT_SECRET_ENGINE_PATH"
_TOKEN_FILE = ".vault-token"  # noqa: S105 - the CLIs of both, and cosign, know it by this name
_PROXIES = ("VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY")
_FILES = ("VAULT_CACERT", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY", "VAULT_CAPATH")
_ON = frozenset({"1", "t", "true"})
_NO_STEPS = frozenset({"", ".", ".."})
_PLAIN = re.compile(r"[\x21-\x7e]+")


class VaultEnvironment:
    """What an environment says of a server and of who asks it (rules 1 and 2)."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Raise ConfigurationError for an environment that names no usable server."""
        self._environ = environ
        self._family = next((family for family in (_VAULT, _OPENBAO) if environ.get(f"{family}ADDR")), "")
        self.address = self._address()
        self.mount = self._mount()

    def _mount(self) -> str:
        """Return the engine's path, which only goes down: `..` would be another part of the API."""
        mount = self._environ.get(_MOUNT, "").strip("/") or "transit"
        if not _NO_STEPS.isdisjoint(mount.split("/")):
            why, advice = f"it is {mount}", Advice("name-vault-mount")
            raise ConfigurationError(f"{_MOUNT} does not name an engine", why=why, advice=advice)
        return mount

    def name(self, variable: str) -> str:
        """Return what a variable of Vault's is called in the family that counts (rule 1)."""
        return self._family + variable.removeprefix(_VAULT)

    def _value(self, variable: str) -> str:
        return self._environ.get(self.name(variable), "").strip()

    def token(self) -> str:
        """Return the token of whoever asks (rule 1).

        Raises AuthenticationError if there is none, ConfigurationError for what cannot be one.
        """
        name = self.name("VAULT_TOKEN")
        token, source = self._value("VAULT_TOKEN"), name
        file = files.home(self._environ) / _TOKEN_FILE
        if not token:
            try:
                data = files.read_regular(file, DEFAULT.passphrase_file_bytes, follow=True)
                token, source = data.decode(errors="replace").strip(), str(file)
            except FileNotFoundError:
                pass
        if not token:
            raise AuthenticationError(
                f"there is no token for {host_port(self.address)}",
                why=f"{name} is not set, and there is no file {file}",
                advice=Advice("log-in-to-vault", variable=name),
                host=host_port(self.address),
            )
        if not _PLAIN.fullmatch(token):
            raise ConfigurationError(f"{source} holds no token", why="a token has no blanks and is ASCII")
        return token

    def namespace(self) -> str:
        """Return the namespace, without one an empty text; raise ConfigurationError for what is none."""
        space = self._value("VAULT_NAMESPACE").strip("/")
        if space and not _PLAIN.fullmatch(space):
            raise ConfigurationError(
                f"{self.name('VAULT_NAMESPACE')} names no namespace", why="it has blanks"
            )
        return space

    def transport(self) -> HttpTransport:
        """Return a transport to the server; nothing is sent yet."""
        places = tls.TlsPlaces(
            self._authorities()[1],
            Advice("set-vault-ca", variable=self.name("VAULT_CACERT")),
            (),
            Advice(
                "set-vault-certificate",
                cert=self.name("VAULT_CLIENT_CERT"),
                key=self.name("VAULT_CLIENT_KEY"),
            ),
            self._value("VAULT_CLIENT_CERT"),
        )
        return HttpTransport(lambda _: self._context(), self._proxies(), lambda _: places)

    def _context(self) -> ssl.SSLContext:
        files = self._authorities()[0]
        cert, key = self._value("VAULT_CLIENT_CERT"), self._value("VAULT_CLIENT_KEY")
        try:
            return tls.context(
                replace_ca=files[0] if files else None,
                extra_ca=files[1:],
                client_cert=Path(cert) if cert else None,
                client_key=Path(key) if key else None,
                environ=self._environ,
            )
        except TlsError as error:
            error.why += tuple(self._naming(str(error.facts.get("path", ""))))
            raise

    def _naming(self, path: str) -> Iterator[str]:
        """Say which variable names a file that cannot be used."""
        for variable in _FILES:
            value = self._value(variable)
            if value and (not path or path == str(Path(value)) or Path(value) in Path(path).parents):
                yield f"{self.name(variable)} is {value}"

    def _authorities(self) -> tuple[list[Path], tuple[str, ...]]:
        """Return the files that take the place of the system's store, and where they are."""
        if file := self._value("VAULT_CACERT"):
            return [Path(file)], (file,)
        folder = self._value("VAULT_CAPATH")
        if not folder:
            return [], ("the system's CA certificates",)
        found = sorted(path for path in Path(folder).glob("*") if path.is_file())
        if not found:
            name = self.name("VAULT_CAPATH")
            raise ConfigurationError(f"{name} names a folder without certificates", why=f"it is {folder}")
        return found, (folder,)

    def _proxies(self) -> Mapping[str, str]:
        """Return the variables that name a proxy: Vault's own count for every server, others as always."""
        named = (variable for variable in _PROXIES if self._value(variable))
        if (variable := next(named, None)) is None:
            return self._environ
        own = self._value(variable)
        found = {"HTTPS_PROXY": own, "HTTP_PROXY": own}
        try:
            proxy_for(self.address, found)
        except ConfigurationError as error:
            message = f"{self.name(variable)} does not name a usable proxy"
            raise ConfigurationError(message, why=error.why) from None
        return found

    def _address(self) -> str:
        """Return the server's URL (rule 2)."""
        if not self._family:
            why, advice = "neither VAULT_ADDR nor BAO_ADDR is set", Advice("set-vault-address")
            raise ConfigurationError("nothing says where the Vault server is", why=why, advice=advice)
        name, address = self.name("VAULT_ADDR"), self._value("VAULT_ADDR").rstrip("/")
        advice = Advice("name-vault", variable=name)
        try:
            scheme, host, _ = origin(address)
        except ConfigurationError as error:
            error.why, error.advice = (*error.why, f"{name} names it"), advice
            raise
        if not _PLAIN.fullmatch(address) or "?" in address or "#" in address:
            raise ConfigurationError(f"{name} is not the address of a server", advice=advice)
        if scheme != "https" and not is_loopback(host):
            why = "whoever listens on the way would have the token"
            raise ConfigurationError(f"{name} must begin with https://", why=why, advice=advice, host=host)
        if self._value("VAULT_SKIP_VERIFY").lower() in _ON:
            name = self.name("VAULT_SKIP_VERIFY")
            ca = Advice("set-vault-ca", variable=self.name("VAULT_CACERT"))
            why = "whoever answers in place of the server would have the token"
            raise ConfigurationError(f"{name} is set, and certificates count here", why=why, advice=ca)
        return address
