"""People with a home directory of their own, who run notarypy, Go notary and docker side by side."""

from __future__ import annotations

import base64
import json
import shutil
from typing import TYPE_CHECKING

from interop.harness import clock, images, programs
from interop.harness.programs import Run, openssl

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from interop.harness.images import Manifest
    from interop.harness.services import Endpoint

ROOT_PASSPHRASE, REPOSITORY_PASSPHRASE = "rootpassphrase123", "repopassphrase123"
NO_DAEMON = "unix:///nonexistent/docker.sock"
GO_PASSPHRASES = {
    "NOTARY_ROOT_PASSPHRASE": ROOT_PASSPHRASE,
    "NOTARY_TARGETS_PASSPHRASE": REPOSITORY_PASSPHRASE,
    "NOTARY_SNAPSHOT_PASSPHRASE": REPOSITORY_PASSPHRASE,
    "NOTARY_DELEGATION_PASSPHRASE": REPOSITORY_PASSPHRASE,
}
# Of those who run nothing but the two programs: one that stands for another fails.
APART = {
    **GO_PASSPHRASES,
    "NOTARY_TARGETS_PASSPHRASE": "targetspassphrase1",
    "NOTARY_SNAPSHOT_PASSPHRASE": "snapshotpassphrase1",
}


class Person:
    """One person's home: trust directory, docker configuration, passphrases in the environment."""

    def __init__(self, home: Path, notary: Endpoint) -> None:
        self.home = home
        self.days = 0  # how far the clocks of their programs are ahead
        self.docker_config = home / ".docker"
        self.trust_dir = self.docker_config / "trust"
        self.docker_config.mkdir(parents=True)
        self.environment = {
            "HOME": str(home),
            "DOCKER_CONFIG": str(self.docker_config),
            "DOCKER_HOST": NO_DAEMON,
            "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE": ROOT_PASSPHRASE,
            "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": REPOSITORY_PASSPHRASE,
            "NOTARYPY_FIRST_USE": "1",
        }
        self.use(notary)

    def use(self, notary: Endpoint) -> None:
        """Turn to another Notary server and trust its CA, the way docker users write that down."""
        self.server = notary
        self.environment["DOCKER_CONTENT_TRUST_SERVER"] = notary.url
        self.trust("tls", notary)

    def trust(self, kind: str, server: Endpoint) -> None:
        """Trust the CA of a Notary server (`tls`) or of a registry (`certs.d`), if it has one."""
        if server.ca is not None:
            folder = self.docker_config / kind / server.host
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(server.ca, folder / "ca.crt")

    def log_in(self, host: str, user: str, password: str) -> None:
        """Write credentials for a registry where docker and notarypy read them."""
        entry = {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
        (self.docker_config / "config.json").write_text(json.dumps({"auths": {host: entry}}))

    # -- the three clients -----------------------------------------------------------------------

    def notarypy(self, *arguments: str | Path, text: str | None = None, **environment: str) -> Run:
        """Run notarypy; `text` is its input, other keywords change the environment ("" removes)."""
        return programs.run(*self._line(arguments, environment), text=text)

    def start_notarypy(
        self, *arguments: str | Path, text: bool = False, **environment: str
    ) -> subprocess.Popen[str]:
        """Start notarypy without waiting for it."""
        return programs.start(*self._line(arguments, environment), text=text)

    def _line(
        self, arguments: tuple[str | Path, ...], changes: dict[str, str]
    ) -> tuple[list[str], dict[str, str]]:
        """Return a line of notarypy, and its environment."""
        moved = (
            {"LD_PRELOAD": programs.faketime_library(), "FAKETIME": f"{self.days:+}d"} if self.days else {}
        )
        merged = {**self.environment, **moved, **changes}
        known = {name: value for name, value in merged.items() if value}
        return ["notarypy", *map(str, arguments)], known

    def notarypy_later(self, days: int, *arguments: str) -> Run:
        """Run notarypy with a clock that is some days ahead."""
        return self.notarypy(*arguments, LD_PRELOAD=programs.faketime_library(), FAKETIME=f"{days:+}d")

    def notary(self, *arguments: str | Path, text: str | None = None) -> Run:
        """Run Go notary on the same trust directory."""
        head = ["notary", "-s", self.server.url, "-d", str(self.trust_dir)]
        if self.server.ca is not None:
            head += ["--tlscacert", str(self.server.ca)]
        argv, environment = [*head, *map(str, arguments)], {**self.environment, **GO_PASSPHRASES}
        return programs.run(argv, environment, text=text, ahead=self.days * clock.DAY)

    def docker(self, *arguments: str | Path, **environment: str) -> Run:
        """Run the docker CLI, which finds no daemon unless `DOCKER_HOST` in the environment names one."""
        merged = {**self.environment, **environment}
        return programs.run(["docker", *map(str, arguments)], merged, ahead=self.days * clock.DAY)

    def docker_trusting(self, *arguments: str | Path) -> Run:
        """Run the docker CLI with content trust."""
        return self.docker(*arguments, DOCKER_CONTENT_TRUST="1")

    def build(self, reference: str, content: str = "") -> None:
        """Make an image that only the daemon has, under this name."""
        files = self.home / "files.tar"
        files.write_bytes(images.archive(f"{reference} {content}"))
        self.docker("import", files, reference).expect(0)

    def inspection(self, reference: str) -> str:
        """Return what `docker trust inspect` prints, and insist on success."""
        return self.docker("trust", "inspect", reference).expect(0).stdout

    def notary_add(self, repository: str, tag: str, manifest: Manifest, *roles: str) -> Run:
        """Sign with Go notary what docker would sign, in these roles (none: targets), and publish."""
        chosen = [argument for role in roles for argument in ("-r", role)]
        digest = ("--sha256", manifest.sha256)
        return self.notary("addhash", repository, tag, str(manifest.size), *digest, *chosen, "-p")

    # -- keys and files --------------------------------------------------------------------------

    def new_key(self, name: str) -> tuple[Path, Path]:
        """Let openssl make an EC key, `EC PARAMETERS` preamble and all, and a certificate for it."""
        key, certificate = self.home / f"{name}.key", self.home / f"{name}.crt"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-out", key)
        key.chmod(0o600)
        openssl(
            *("req", "-new", "-x509", "-sha256", "-days", "365", "-subj", f"/CN={name}"),
            *("-key", key, "-out", certificate),
        )
        return key, certificate

    def own(self, repository: str, signer: str = "jeff") -> Path:
        """Make the repository's trust data, with a signer whose key is here; return its certificate."""
        key, certificate = self.new_key(signer)
        self.notarypy("key", "load", key, "--name", signer).expect(0)
        self.notarypy("signer", "add", "--key", certificate, signer, repository).expect(0)
        return certificate

    def files(self) -> dict[str, bytes]:
        """Return everything in the trust directory except lock files, to compare before and after."""
        return {
            str(path.relative_to(self.trust_dir)): path.read_bytes()
            for path in sorted(self.trust_dir.rglob("*"))
            if path.is_file() and not path.name.endswith(".lock")
        }

    def metadata(self, repository: str) -> Path:
        """Return the folder of the cached metadata of a repository."""
        return self.trust_dir / "tuf" / repository / "metadata"

    def share_keys_with(self, other: Person) -> None:
        """Give the other person a copy of every private key here."""
        shutil.copytree(self.trust_dir / "private", other.trust_dir / "private", dirs_exist_ok=True)
