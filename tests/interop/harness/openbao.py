"""An OpenBao server as a place of keys: in memory, over TLS, with tokens that may do little."""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from interop.harness import services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT_TOKEN = "root-token-of-the-test"
SIGN, READ = "sign/", "keys/"


@dataclass(frozen=True)
class OpenBao:
    """A server, its CA, and the key that unseals it."""

    url: str
    ca: Path
    unseal_key: str

    def environment(self, token: str = ROOT_TOKEN) -> dict[str, str]:
        """Return what tells a program where the server is and who asks it."""
        return {"VAULT_ADDR": self.url, "VAULT_CACERT": str(self.ca), "VAULT_TOKEN": token}

    def ask(self, path: str, document: object = None, *, method: str = "", token: str = ROOT_TOKEN) -> Any:  # noqa: ANN401 - JSON
        """Send a request and return its answer; insist on success."""
        body = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(f"{self.url}/v1/{path}", body, {"X-Vault-Token": token})
        request.method = method or ("GET" if body is None else "POST")
        context = ssl.create_default_context(cafile=str(self.ca))
        try:
            with urllib.request.urlopen(request, context=context) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{request.method} {path}: {error.code} {error.read()!r}") from None

    def make_key(self, name: str, kind: str = "ecdsa-p256") -> str:
        """Make a key of a type and return its URI."""
        self.ask(f"transit/keys/{name}", {"type": kind})
        return f"hashivault://{name}"

    def remove_key(self, name: str) -> None:
        """Destroy a key."""
        self.ask(f"transit/keys/{name}/config", {"deletion_allowed": True})
        self.ask(f"transit/keys/{name}", method="DELETE")

    def allow(self, policy: str, **rights: str) -> None:
        """Write a policy: the keyword `sign__release="update"` is `update` on `transit/sign/release`."""
        lines = (
            f'path "transit/{path.replace("__", "/")}" {{ capabilities = ["{right}"] }}'
            for path, right in rights.items()
        )
        self.ask(f"sys/policies/acl/{policy}", {"policy": "\n".join(lines)})

    def token(self, policy: str) -> str:
        """Return a new token that may do what a policy says, and nothing else."""
        asked = {"policies": [policy], "no_default_policy": True}
        return str(self.ask("auth/token/create", asked)["auth"]["client_token"])


@contextlib.contextmanager
def running(directory: Path) -> Iterator[OpenBao]:
    """Run a server whose storage is its memory, with a transit engine."""
    directory.mkdir(parents=True, exist_ok=True)
    port = services.free_port()
    argv = [
        *("bao", "server", "-dev", "-dev-tls", f"-dev-tls-cert-dir={directory}"),
        *("-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}", f"-dev-listen-address=127.0.0.1:{port}"),
    ]
    log, ca = directory / "openbao.log", directory / "vault-ca.pem"

    def ready() -> bool:
        if not ca.exists() or "Unseal Key: " not in log.read_text():
            return False
        context = ssl.create_default_context(cafile=str(ca))
        return services.answers(port, "/v1/sys/health", context)()

    with services.Service(argv, log, ready, {"HOME": str(directory)}):
        unseal_key = re.findall(r"Unseal Key: (\S+)", log.read_text())[0]
        server = OpenBao(f"https://127.0.0.1:{port}", ca, unseal_key)
        server.ask("sys/mounts/transit", {"type": "transit"})
        yield server
