"""An AWS KMS as a place of keys: ministack, which signs as AWS does and checks no permissions."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.session import Session

from interop.harness import services

if TYPE_CHECKING:
    from collections.abc import Iterator

# scripts/setup makes this environment.
PROGRAM = Path(sys.prefix, "ministack", "bin", "ministack")
REGION = "eu-west-1"
SECRET_KEY, SESSION_TOKEN = "secret-access-key-of-the-test", "session-token-of-the-test"
NO_FILE = "/nonexistent/aws"


@dataclass(frozen=True)
class Kms:
    """A server, and a client of the SDK that may do everything."""

    url: str
    client: Any

    @property
    def environment(self) -> dict[str, str]:
        """Return what tells a program where the server is and who asks it; nothing else is looked at."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_SESSION_TOKEN": SESSION_TOKEN,
            "AWS_CONFIG_FILE": NO_FILE,
            "AWS_SHARED_CREDENTIALS_FILE": NO_FILE,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_key(self, spec: str = "ECC_NIST_P256", usage: str = "SIGN_VERIFY", **more: object) -> str:
        """Make a key and return its ARN."""
        return str(self.client.create_key(KeySpec=spec, KeyUsage=usage, **more)["KeyMetadata"]["Arn"])

    def name(self, alias: str, arn: str) -> str:
        """Give a key an alias and return the URI with it."""
        self.client.create_alias(AliasName=f"alias/{alias}", TargetKeyId=arn)
        return f"awskms:///alias/{alias}"


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Kms]:
    """Run a server whose storage is its memory.

    Raises:
        LookupError: it is not here.
        RuntimeError: it did not start; the log tells why.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = services.free_port()
    settings = {
        "BIND_HOST": "127.0.0.1",  # or it listens everywhere
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",  # or it takes another port
        "SERVICES": "kms",
        "HOME": str(directory),
        "TMPDIR": str(directory),
    }
    url, log = f"http://127.0.0.1:{port}", directory / "ministack.log"
    with services.Service([str(PROGRAM)], log, services.answers(port, "/", None), settings):
        session = Session()
        session.set_config_variable("config_file", NO_FILE)
        session.set_config_variable("credentials_file", NO_FILE)
        client = session.create_client(
            "kms",
            REGION,
            endpoint_url=url,
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key=SECRET_KEY,
        )
        yield Kms(url, client)
        client.close()
