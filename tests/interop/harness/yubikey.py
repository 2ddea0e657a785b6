"""What stands for a YubiKey: a token of SoftHSM with the objects that YubiKey's module shows.

1. The root key is where Go notary puts its first one: slot 9c, which is the id 02; private key, public key
   and a certificate for the role.
2. Go notary looks for YubiKey's module in fixed places. It runs in a mount namespace, where another module is
   there; outside nothing changes.
3. Pulled out means that its folder is away.
"""

from __future__ import annotations

import datetime as dt
import os
import warnings
from typing import TYPE_CHECKING
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from interop.harness import people, programs
from support import chains

if TYPE_CHECKING:
    from pathlib import Path

    from interop.harness.people import Person

LABEL, PIN = "YubiKey PIV #7654321", "123456"
OWNER_PIN = "010203040506070801020304050607080102030405060708"
_PLACES = (
    *("/usr/lib/libykcs11.so", "/usr/lib/libykcs11.so.1", "/usr/lib64/libykcs11.so"),
    *("/usr/lib64/libykcs11.so.1", "/usr/lib/x86_64-linux-gnu/libykcs11.so"),
)
_AS_YUBIKEY = f"""
for place in {" ".join(_PLACES)}; do [ ! -e $place ] || mount --bind "$0" $place || exit; done
mount -t tmpfs none /usr/local/lib && ln -s "$0" /usr/local/lib/libykcs11.so && exec "$@"
"""


class YubiKey:
    """A token, plugged in."""

    def __init__(self, folder: Path) -> None:
        self.module = programs.pkcs11_module("libsofthsm2")
        self._tokens, self._drawer = folder / "tokens", folder / "drawer"
        self._folder = folder
        self._tokens.mkdir(parents=True)
        configuration = folder / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {self._tokens}\nobjectstore.backend = file\n")
        self.environment = {
            "SOFTHSM2_CONF": str(configuration),
            "LD_LIBRARY_PATH": programs.library_path(),
            "PKCS11_MODULE_PATH": str(self.module),
        }
        pins = ("--pin", PIN, "--so-pin", OWNER_PIN)
        argv = [
            "softhsm2-util",
            "--module",
            str(self.module),
            "--init-token",
            "--free",
            "--label",
            LABEL,
            *pins,
        ]
        programs.run(argv, self.environment).expect(0)

    def uri(self, identity: str = "02") -> str:
        """Return the URI of the key with an id."""
        return f"pkcs11:token={quote(LABEL)};id=%{identity}?module-path={self.module}"

    def put_root(self, *, public: bool = True) -> None:
        """Put a root key on it as Go notary does; without the public key object if so wished (rule 1)."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._root = key
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        halves = {
            "privkey": key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
            "cert": _self_signed("root", key).public_bytes(Encoding.DER),
            **({"pubkey": spki} if public else {}),
        }
        for kind, data in halves.items():
            file = self._folder / f"{kind}.der"
            file.write_bytes(data)
            named = ("--type", kind, "--id", "02", "--label", f"{kind} for Digital Signature")
            usage = ("--usage-sign",) if kind == "privkey" else ()
            self.tool("--login", "--pin", PIN, "--write-object", str(file), *named, *usage)
            file.unlink()

    def go_certificate(self, gun: str) -> bytes:
        """Return a root certificate as releases of Go notary made it with the key on a YubiKey."""
        return chains.as_on_yubikey(_self_signed(gun, self._root), self._root)

    def tool(self, *arguments: str) -> programs.Run:
        """Run pkcs11-tool on it, and insist on success."""
        argv = ["pkcs11-tool", "--module", str(self.module), "--token-label", LABEL, *arguments]
        return programs.run(argv, self.environment).expect(0)

    def pull(self) -> None:
        """Put it into a drawer (rule 3)."""
        self._tokens.rename(self._drawer)
        self._tokens.mkdir()

    def plug(self) -> None:
        """Take it out of the drawer."""
        self._tokens.rmdir()
        self._drawer.rename(self._tokens)

    def go_notary(self, person: Person, *arguments: str) -> programs.Run:
        """Run Go notary on a person's trust directory, with this token as its YubiKey (rule 2)."""
        alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
        server = (
            "-s",
            person.server.url,
            *(("--tlscacert", str(person.server.ca)) if person.server.ca else ()),
        )
        notary = [programs.find("notary"), *server, "-d", str(person.trust_dir), *arguments]
        environment = {**person.environment, **people.GO_PASSPHRASES, **self.environment}
        return programs.run([*alone, "sh", "-c", _AS_YUBIKEY, str(self.module), *notary], environment)


def _self_signed(common_name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names of repositories may be longer than X.509 has it
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)])
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now)
    made = made.not_valid_after(now + dt.timedelta(days=3650)).add_extension(usage, critical=False)
    return made.sign(key, SHA256())
