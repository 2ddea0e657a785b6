"""A small AWS KMS on loopback: the JSON protocol, keys that sign, and answers as a test wants them.

What no emulator does: permissions, throttling, broken answers. Who signs which request is not checked.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support.rsakeys import fresh_key

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

REGION, ACCOUNT = "eu-west-1", "111122223333"
PREHASHED = utils.Prehashed(SHA256())
JSON = "application/x-amz-json-1.1"


@dataclass
class Key:
    """One key; what DescribeKey and GetPublicKey say of it is `spec` and `usage`."""

    private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    spec: str
    usage: str
    arn: str

    def public(self) -> dict[str, object]:
        """Return what GetPublicKey answers."""
        der = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        text = base64.b64encode(der).decode()
        return {"KeyId": self.arn, "KeySpec": self.spec, "KeyUsage": self.usage, "PublicKey": text}

    def answer(self, operation: str, parameters: dict[str, Any]) -> dict[str, object]:
        """Return what KMS says to a request for this key."""
        if operation == "Sign":
            assert parameters["MessageType"] == "DIGEST"
            signature = self.sign(base64.b64decode(parameters["Message"]), parameters["SigningAlgorithm"])
            return {"KeyId": self.arn, "Signature": base64.b64encode(signature).decode()}
        if operation == "DescribeKey":
            shown = {"KeyId": self.arn, "KeySpec": self.spec, "KeyState": "Enabled", "MultiRegion": True}
            return {"KeyMetadata": {**shown, "KeyManager": "CUSTOMER", "Origin": "AWS_KMS"}}
        assert operation == "GetPublicKey"
        return self.public()

    def sign(self, digest: bytes, algorithm: str) -> bytes:
        """Sign a digest as KMS does."""
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            assert algorithm == "ECDSA_SHA_256"
            return self.private.sign(digest, ec.ECDSA(PREHASHED))
        if algorithm == "RSASSA_PKCS1_V1_5_SHA_256":
            return self.private.sign(digest, padding.PKCS1v15(), PREHASHED)
        assert algorithm == "RSASSA_PSS_SHA_256"
        return self.private.sign(digest, padding.PSS(padding.MGF1(SHA256()), 32), PREHASHED)


@dataclass(frozen=True)
class Asked:
    """One request."""

    operation: str
    parameters: dict[str, Any]
    authorization: str


Answer = tuple[int, bytes]


@dataclass
class FakeKms:
    """Its keys by ARN, its aliases, what it was asked, and what it answers instead, request by request."""

    url: str = ""
    keys: dict[str, Key] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    instead: dict[str, list[Answer]] = field(default_factory=dict)
    waits: threading.Event = field(default_factory=threading.Event)

    @property
    def environment(self) -> dict[str, str]:
        """Return what leads to it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
            "AWS_SESSION_TOKEN": "session-token",
        }

    @property
    def operations(self) -> list[str]:
        """Return what was asked, in order."""
        return [asked.operation for asked in self.asked]

    def make(self, spec: str = "ECC_NIST_P256", usage: str = "SIGN_VERIFY") -> Key:
        """Make a key."""
        curve = ec.SECP384R1() if spec.endswith("P384") else ec.SECP256R1()
        bits = int(spec.partition("RSA_")[2] or 0)
        arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-{len(self.keys):012d}"
        private = fresh_key(bits) if bits else ec.generate_private_key(curve)
        self.keys[arn] = Key(private, spec, usage, arn)
        return self.keys[arn]

    def refuse(self, operation: str, code: str, text: str = "", status: int = 400, times: int = 9) -> None:
        """Answer with an error, so many times."""
        body = json.dumps({"__type": code, "message": text}).encode()
        self.instead[operation] = [(status, body)] * times

    def answer(self, operation: str, parameters: dict[str, Any]) -> Answer:
        """Answer a request."""
        if self.instead.get(operation):
            return self.instead[operation].pop(0)
        if operation == "CreateKey":
            key = self.make(parameters["KeySpec"], parameters["KeyUsage"])
            return _json({"KeyMetadata": {"KeyId": key.arn.rpartition("/")[2], "Arn": key.arn}})
        if operation == "CreateAlias":
            self.aliases[parameters["AliasName"]] = parameters["TargetKeyId"]
            return 200, b""
        name = parameters["KeyId"].rpartition(f"{ACCOUNT}:")[2]
        wanted = self.aliases.get(name, f"key/{name.removeprefix('key/')}")
        found = next((key for arn, key in self.keys.items() if arn.endswith(wanted)), None)
        if found is None:
            return 400, json.dumps({"__type": "NotFoundException", "message": "not found"}).encode()
        return _json(found.answer(operation, parameters))


def _json(value: object) -> Answer:
    return 200, json.dumps(value).encode()


def _handler(fake: FakeKms) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            parameters = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            fake.asked.append(Asked(operation, parameters, self.headers.get("Authorization", "")))
            status, body = fake.answer(operation, parameters)
            if status == 0:  # no answer at all
                fake.waits.wait(10)
                self.close_connection = True
                return
            if status < 0:  # one without an end
                self.wfile.write(b"HTTP/1.1 200 X\r\n")
                with contextlib.suppress(OSError):
                    while not fake.waits.wait(0.05):
                        self.wfile.write(b"X: y\r\n")
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Type", JSON)
            if 300 <= status < 400:
                self.send_header("Location", f"{fake.url}/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


@contextlib.contextmanager
def running(tls: Callable[[], ssl.SSLContext] | None = None) -> Iterator[FakeKms]:
    """Run one on a free port of 127.0.0.1, over TLS if a context is given."""
    fake = FakeKms()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake)) as server:
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls().wrap_socket(server.socket, server_side=True)
        fake.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield fake
        finally:
            fake.waits.set()
            server.shutdown()
            thread.join()
