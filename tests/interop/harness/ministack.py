"""An AWS KMS as a place of keys: ministack, which signs as AWS does, and checks who asks for what."""

from __future__ import annotations

import contextlib
import json
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
REGION, ACCOUNT = "eu-west-1", "000000000000"
ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY, SESSION_TOKEN = "secret-access-key-of-the-test", "session-token-of-the-test"
NO_FILE = "/nonexistent/aws"


@dataclass(frozen=True)
class Kms:
    """A server, and clients of the SDK that may do everything."""

    url: str
    client: Any
    iam: Any

    @property
    def environment(self) -> dict[str, str]:
        """Return what tells a program where the server is and who asks it; nothing else is looked at."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_SESSION_TOKEN": SESSION_TOKEN,
            "AWS_CONFIG_FILE": NO_FILE,
            "AWS_SHARED_CREDENTIALS_FILE": NO_FILE,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_key(self, spec: str = "ECC_NIST_P256", usage: str = "SIGN_VERIFY", **more: object) -> str:
        """Make a key and return its ARN."""
        return str(self.client.create_key(KeySpec=spec, KeyUsage=usage, **more)["KeyMetadata"]["Arn"])

    def user(self, name: str, *actions: str, resource: str) -> dict[str, str]:
        """Make a user who may do these things, and return what makes a program ask as this user."""
        return self.user_by(name, [{"Effect": "Allow", "Action": list(actions), "Resource": resource}])

    def user_by(self, name: str, statements: list[dict[str, Any]]) -> dict[str, str]:
        """Make a user with the statements of a policy."""
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.iam.create_user(UserName=name)
        self.iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=policy)
        made = self.iam.create_access_key(UserName=name)["AccessKey"]
        keys = {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}
        return {**keys, "AWS_SESSION_TOKEN": ""}

    def role(self, name: str, issuer: str, subject: str, actions: list[str], resource: str) -> str:
        """Make a role for jobs that an issuer vouches for, and return its ARN."""
        self.iam.create_open_id_connect_provider(Url=f"https://{issuer}", ClientIDList=["sts.amazonaws.com"])
        provider = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"}
        jobs = {"StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subject}}
        take = {"Action": "sts:AssumeRoleWithWebIdentity", "Principal": provider, "Condition": jobs}
        use = {"Action": actions, "Resource": resource}
        trust, policy = (
            json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **rest}]})
            for rest in (take, use)
        )
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
        self.iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=policy)
        return str(made["Role"]["Arn"])

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
        "SERVICES": "kms,iam,sts",
        "AUTH": "true",  # signatures and policies count; no condition on kms:... is ever met
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,  # who may do everything
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_SESSION_TOKEN": SESSION_TOKEN,
        "HOME": str(directory),
        "TMPDIR": str(directory),
    }
    url, log = f"http://127.0.0.1:{port}", directory / "ministack.log"
    with services.Service([str(PROGRAM)], log, services.answers(port, "/", None), settings):
        session = Session()
        session.set_config_variable("config_file", NO_FILE)
        session.set_config_variable("credentials_file", NO_FILE)
        session.set_credentials(ACCESS_KEY, SECRET_KEY, SESSION_TOKEN)
        kms, iam = (session.create_client(name, REGION, endpoint_url=url) for name in ("kms", "iam"))
        yield Kms(url, kms, iam)
        kms.close()
        iam.close()
