"""Other people's programs that sign images the new way and verify it, and their registry with referrers.

1. `scripts/setup` puts them where this module alone finds them, as some have older namesakes on the machine.
   On a machine that is new enough, a namesake is the one.
2. They ask nobody but registries on loopback: no log, no trust root from afar. Whatever else they would ask
   goes to a proxy that does not listen.
3. Whether a registry speaks TLS is seen from its address; they trust its CA as that of the system.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interop.harness import programs, services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.harness.images import Manifest, Repository
    from interop.harness.programs import Run

HERE = programs.UNPACKED.parent / "verifiers"
FOREIGN = Path(__file__).parent / "foreign"
PASSWORD = "cosign-password-of-the-test"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE = "https://sigstore.dev/cosign/sign/v1"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
# What cosign says with its exit code.
NO_SIGNATURES, NO_MATCH = 10, 12
_NOBODY = "http://127.0.0.1:1"
_NO_TRUST_ROOT = '{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'


def program(name: str) -> list[str]:
    """Return how a program is started (rule 1): what needs a newer libc than the machine's brings its own."""
    path = next((path for path in (HERE / "usr/bin" / name, HERE / "bin" / name) if path.exists()), None)
    if path is None:
        return [programs.find(name)]
    for loader in HERE.glob("usr/lib/*-linux-gnu*/ld-linux-*.so.*"):
        return [str(loader), "--library-path", str(loader.parent), str(path)]
    return [str(path)]


def node() -> str:
    """Return the JavaScript engine that runs the packages from npm."""
    own = Path(sys.prefix, "node", "bin", "node")
    return str(own) if own.exists() else programs.find("node")


@contextlib.contextmanager
def registry(directory: Path) -> Iterator[services.Endpoint]:
    """Run go-containerregistry's registry, which has the referrers API, over plain http.

    Raises:
        LookupError: it is not here.
        RuntimeError: it did not start; the log tells why.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = services.free_port()
    argv = [*program("registry"), f"127.0.0.1:{port}"]
    with services.Service(argv, directory / "registry.log", services.answers(port, "/v2/", None)):
        yield services.Endpoint(f"localhost:{port}", None)


@dataclass(frozen=True)
class KeyPair:
    """A key file of cosign's, encrypted with `PASSWORD`, and its public half."""

    private: Path
    public: Path


class Verifiers:
    """All of them, with one home, and one registry whose CA they trust."""

    def __init__(self, home: Path, server: services.Endpoint) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self._server = server
        self._root = home / "no-trust-root.json"
        self._root.write_text(_NO_TRUST_ROOT)
        logins = home / "docker" / "config.json"
        logins.parent.mkdir()
        logins.write_text("{}")
        self._environment = {
            "HOME": str(home),
            "DOCKER_CONFIG": str(logins.parent),
            "REGISTRY_AUTH_FILE": str(logins),
            "HTTP_PROXY": _NOBODY,
            "HTTPS_PROXY": _NOBODY,
            "NO_PROXY": "localhost,127.0.0.1",
            "COSIGN_PASSWORD": PASSWORD,
            "NODE_PATH": str(HERE / "node_modules"),
        }
        if server.ca is not None:
            self._environment["SSL_CERT_FILE"] = str(server.ca)

    def _run(self, argv: list[str], *arguments: str | Path) -> Run:
        return programs.run([*argv, *map(str, arguments)], self._environment)

    # -- cosign ----------------------------------------------------------------------------------

    def cosign(self, *arguments: str | Path) -> Run:
        """Run cosign."""
        return self._run(program("cosign"), *arguments)

    def generate_key_pair(self, name: str) -> KeyPair:
        """Let cosign make a key."""
        stem = self.home / name
        self.cosign("generate-key-pair", "--output-key-prefix", stem).expect(0)
        return KeyPair(stem.with_suffix(".key"), stem.with_suffix(".pub"))

    def sign(self, pinned: str, key: Path, *more: str) -> Run:
        """Let cosign sign an image in the classic form."""
        head = ("sign", "--key", key, "--tlog-upload=false", "--allow-http-registry", "--yes")
        return self.cosign(*head, *more, pinned)

    def attest(self, pinned: str, key: Path, predicate_type: str = PREDICATE) -> Run:
        """Let cosign sign a bundle about an image, with an empty predicate."""
        predicate = self.home / "predicate.json"
        predicate.write_text("{}")
        head = ("attest", "--new-bundle-format", "--key", key, "--tlog-upload=false", "--allow-http-registry")
        return self.cosign(*head, "--yes", "--type", predicate_type, "--predicate", predicate, pinned)

    def verify(self, reference: str, public: Path, *more: str) -> Run:
        """Let cosign verify the classic signatures of an image."""
        head = ("verify", "--key", public, "--insecure-ignore-tlog=true", "--allow-http-registry")
        return self.cosign(*head, *more, reference)

    def verify_bundle(self, reference: str, public: Path) -> Run:
        """Let cosign verify the bundles of an image; with a release before 2.6 they count as attestations."""
        head = ("verify-attestation", "--new-bundle-format", "--trusted-root", self._root, "--key", public)
        tail = ("--insecure-ignore-tlog=true", "--allow-http-registry", "--type", PREDICATE)
        return self.cosign(*head, *tail, reference)

    # -- skopeo ----------------------------------------------------------------------------------

    def require(self, scope: str, public: Path, **identity: str) -> tuple[Path, Path]:
        """Write a policy that takes signed images of a scope alone, and where signatures are looked for."""
        requirement: dict[str, Any] = {"type": "sigstoreSigned", "keyPath": str(public)}
        if identity:
            requirement["signedIdentity"] = identity
        policy, folder = self.home / "policy.json", self.home / "registries.d"
        folder.mkdir(exist_ok=True)
        docker = {scope: [requirement]}
        services.write_json(policy, {"default": [{"type": "reject"}], "transports": {"docker": docker}})
        where = {"docker": {self._server.host: {"use-sigstore-attachments": True}}}
        services.write_json(folder / "signed.yaml", where)
        return policy, folder

    def pull(self, reference: str, rules: tuple[Path, Path], architecture: str = "amd64") -> Run:
        """Let skopeo copy an image of one platform into a folder under a policy."""
        policy, folder = rules
        target = self.home / "pulled"
        shutil.rmtree(target, ignore_errors=True)
        head = ("--policy", policy, "--registries.d", folder, "--override-os=linux")
        tls = f"--src-tls-verify={str(self._server.ca is not None).lower()}"
        copy = ("--override-arch", architecture, "copy", tls, f"docker://{reference}", f"dir:{target}")
        return self._run(program("skopeo"), *head, *copy)

    def copy(self, reference: str, target: str) -> Run:
        """Let skopeo copy an image with its platforms and signatures, whoever signed it."""
        _, folder = self.require("example.com", Path("key.pub"))
        tls = str(self._server.ca is not None).lower()
        copy = ("--all", f"--src-tls-verify={tls}", f"--dest-tls-verify={tls}", f"docker://{reference}")
        head = ("--insecure-policy", "--registries.d", folder, "copy")
        return self._run(program("skopeo"), *head, *copy, f"docker://{target}")

    # -- bundles ---------------------------------------------------------------------------------

    def npm(self, bundle: bytes, public: Path, digest: str) -> Run:
        """Let npm's sigstore verify a bundle about a digest."""
        return self._run([node()], FOREIGN / "bundle.js", self._file(bundle), public, digest)

    def _file(self, content: bytes) -> Path:
        path = self.home / "bundle.json"
        path.write_bytes(content)
        return path

    # -- what refers to what ---------------------------------------------------------------------

    def oras(self, *arguments: str) -> Run:
        """Run oras, which looks for referrers in both ways."""
        command = [*program("oras"), *arguments, f"--plain-http={str(self._server.ca is None).lower()}"]
        return self._run(command)

    def referrers(self, repository: Repository, subject: Manifest) -> list[dict[str, Any]]:
        """Return the descriptors of what refers to an image."""
        found = self.oras("discover", "--format", "json", repository.pinned(subject)).expect(0).document
        return list(found["manifests"] or ())

    def bundles(self, repository: Repository, subject: Manifest) -> list[bytes]:
        """Return the bundles that refer to an image, whatever type their entries have."""
        manifests = [
            json.loads(repository.manifest(entry["digest"])) for entry in self.referrers(repository, subject)
        ]
        layers = [layer for manifest in manifests for layer in manifest["layers"]]
        return [repository.blob(layer["digest"]) for layer in layers if layer["mediaType"] == BUNDLE]

    def attach(self, repository: Repository, subject: Manifest, content: bytes, kind: str) -> None:
        """Let oras attach some content to an image, as the one layer of a referrer."""
        head = ("attach", "--disable-path-validation", "--artifact-type", kind, repository.pinned(subject))
        self.oras(*head, f"{self._file(content)}:{kind}").expect(0)

    def copy_referrers(self, reference: str, target: str) -> Run:
        """Let oras copy an image, and what refers to it."""
        plain = str(self._server.ca is None).lower()
        head = ("cp", "-r", f"--from-plain-http={plain}", f"--to-plain-http={plain}")
        return self._run(program("oras"), *head, reference, target)

    # -- notation --------------------------------------------------------------------------------

    def notation(self, envelope: Path, certificate: Path, media_type: str = "application/jose+json") -> Run:
        """Let notation's own library read an envelope that is signed under a certificate."""
        return self._run(program("notation"), media_type, envelope, certificate)
