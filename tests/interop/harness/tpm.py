"""A TPM in software, and a token on it as tpm2-pkcs11 keeps one.

1. The TPM listens on a socket in a folder of its own under the system's temporary folder, and nowhere else:
   sockets have short paths, and pytest's folders are long.
2. It has room for the token and one key in each process: nothing manages its resources, as the kernel does
   behind /dev/tpmrm0.
3. The token is made by OpenSC's pkcs11-tool through the module. tpm2-pkcs11's own program leaves behind
   what fills the room.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from interop.harness import programs, services

if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL, PIN, OWNER_PIN = "tpm", "71934582", "so-58201937"


class Tpm:
    """A running TPM with one token on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.module = folder, programs.pkcs11_module("libtpm2_pkcs11")
        self.environment = {
            "LD_LIBRARY_PATH": programs.library_path(),
            "PKCS11_MODULE_PATH": str(self.module),
            "TPM2_PKCS11_STORE": str(folder),
            "TPM2_PKCS11_TCTI": f"swtpm:path={folder / 'socket'}",
            # What the libraries beneath think of a wrong PIN goes to standard error otherwise.
            "TSS2_LOG": "all+none",
            "TPM2_PKCS11_LOG_LEVEL": "0",
        }

    def uri(self, key: str) -> str:
        """Return the URI of a key by its label."""
        return f"pkcs11:token={LABEL};object={key}?module-path={self.module}"

    def tool(self, *arguments: str) -> programs.Run:
        """Run pkcs11-tool on the module, and insist on success."""
        argv = ["pkcs11-tool", "--module", str(self.module), *arguments]
        return programs.run(argv, self.environment).expect(0)

    def make_key(self, label: str, identity: str) -> None:
        """Make a key on P-256, with an id of hex digits."""
        pair = ("--keypairgen", "--key-type", "EC:prime256v1", "--label", label, "--id", identity)
        self.tool("--token-label", LABEL, "--login", "--pin", PIN, *pair)

    def unlock(self) -> None:
        """Forget the wrong PINs, as the machine's owner."""
        environment = {**self.environment, "TPM2TOOLS_TCTI": self.environment["TPM2_PKCS11_TCTI"]}
        programs.run(["tpm2_dictionarylockout", "--clear-lockout"], environment).expect(0)
        programs.run(["tpm2_flushcontext", "-t"], environment).expect(0)

    def make_token(self) -> None:
        """Make the token, with its PIN."""
        self.tool("--slot-index", "0", "--init-token", "--label", LABEL, "--so-pin", OWNER_PIN)
        owner = ("--token-label", LABEL, "--login", "--login-type", "so", "--so-pin", OWNER_PIN)
        self.tool(*owner, "--init-pin", "--new-pin", PIN)


@contextlib.contextmanager
def running(log: Path) -> Iterator[Tpm]:
    """Run a TPM and yield it with an empty token.

    Raises:
        LookupError: swtpm, or the module that leads to it, is not here.
        RuntimeError: It did not start; the log tells why.
    """
    folder = Path(tempfile.mkdtemp(prefix="tpm-"))
    try:
        made = Tpm(folder)
        with _started(made, log):
            made.make_token()
            yield made
    finally:
        shutil.rmtree(folder)


def _started(made: Tpm, log: Path) -> services.Service:
    """Start it; a TPM keeps what it knows in a file, and may be started again."""
    path = made.folder / "socket"
    path.unlink(missing_ok=True)
    argv = [
        *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={made.folder}"),
        *("--server", f"type=unixio,path={path}", "--ctrl", f"type=unixio,path={path}.ctrl"),
        *("--flags", "not-need-init,startup-clear"),
    ]
    own = [str(folder) for folder in programs.UNPACKED.glob("lib/*-linux-gnu*/swtpm")]
    libraries = ":".join([programs.library_path(), *own])
    return services.Service(argv, log, lambda: _listens(path), {"LD_LIBRARY_PATH": libraries})


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
