"""SoftHSM: tokens in a folder, and keys that OpenSC's pkcs11-tool makes on them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interop.harness import programs

if TYPE_CHECKING:
    from pathlib import Path

    from interop.harness.people import Person
    from interop.harness.programs import Run

PIN, WRONG_PIN = "pin-of-a-test-4711", "wrong-pin-0815"
_OWNER_PIN = "so-pin-of-a-test"


class SoftHsm:
    """Tokens in a folder, and what the module has to know of it.

    Attributes:
        module: The module, the same for all folders.
        environment: What programs need to use these tokens.
    """

    def __init__(self, folder: Path) -> None:
        self.module = programs.pkcs11_module("libsofthsm2")
        self._folder = folder
        (folder / "tokens").mkdir(parents=True)
        configuration = folder / "softhsm2.conf"
        configuration.write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.environment = {
            "SOFTHSM2_CONF": str(configuration),
            "LD_LIBRARY_PATH": programs.library_path(),
            "PKCS11_MODULE_PATH": str(self.module),
        }

    def make_token(self, label: str) -> str:
        """Initialise a token and return its serial number."""
        pins = ("--pin", PIN, "--so-pin", _OWNER_PIN)
        argv = ["softhsm2-util", "--module", str(self.module), "--init-token", "--free", "--label", label]
        slot = re.findall(r"slot (\d+)", self._run(*argv, *pins).stdout)[-1]
        return f"{int(slot):x}".rjust(8, "0")  # the end of the serial number, as SoftHSM counts slots

    def tool(self, token: str, *arguments: str) -> Run:
        """Run pkcs11-tool on a token."""
        chosen = ("--module", str(self.module), "--token-label", token, "--login", "--pin", PIN)
        return self._run("pkcs11-tool", *chosen, *arguments)

    def make_key(self, token: str, label: str, kind: str = "EC:prime256v1", identity: str = "01") -> str:
        """Make a key and return its URI."""
        named = ("--id", identity, "--label", label)
        self.tool(token, "--keypairgen", "--key-type", kind, *named, "--usage-sign")
        return f"pkcs11:token={token};object={label}"

    def watched(self, log: Path) -> dict[str, str]:
        """Return the environment in which a module between writes down each call."""
        spy = programs.pkcs11_module("pkcs11-spy")
        return {
            "PKCS11_MODULE_PATH": str(spy),
            "PKCS11SPY": str(self.module),
            "PKCS11SPY_OUTPUT": str(log),
        }

    def _run(self, *argv: str) -> Run:
        return programs.run(argv, self.environment).expect(0)


def public_half(person: Person, name: str) -> Path:
    """Return a file with the public half of a key that was noted, as the reference has it."""
    for reference in (person.trust_dir / "private").glob("*.ref"):
        text = reference.read_text()
        if f"\nrole: {name}\n" in text:
            file = person.home / f"{name}.pub"
            file.write_text(re.sub(r"^\w+: .*\n", "", text, flags=re.MULTILINE))
            return file
    raise LookupError(name)
