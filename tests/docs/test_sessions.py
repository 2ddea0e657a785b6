"""The sessions that pages show, run again: the same commands print the same, but for digests and key ids."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from docs import pages
from notarypy.cli.main import run
from notarypy.devserver.core import Fake
from support.fakes import repeatable_random

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

NOTARY, REGISTRY = "notary.example.com", "registry.example.com"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
SETTINGS = (
    f"DOCKER_CONTENT_TRUST_SERVER=https://{NOTARY}",
    "NOTARYPY_FIRST_USE=1",
    *(f"DOCKER_CONTENT_TRUST_{kind}_PASSPHRASE=a passphrase" for kind in ("ROOT", "REPOSITORY")),
)
HEX = re.compile(r"\b[0-9a-f]{12,64}\b")


class Stage:
    """The servers, and the people that the sessions are about, each with a home of their own."""

    def __init__(self, directory: Path) -> None:
        self.fake = Fake(clock=lambda: datetime.now(UTC), random=repeatable_random())
        self.fake.services.update({NOTARY: self.fake.notary, REGISTRY: self.fake.registry})
        self.directory = directory
        self.environments: dict[str, dict[str, str]] = {}
        self.ids: dict[str, str] = {}
        self.exit_code = 0

    def push(self, repository: str, tag: str, content: str) -> None:
        digest = self.fake.registry.put_blob(repository, content.encode())
        config = {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "size": len(content),
            "digest": digest,
        }
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}
        self.fake.registry.push(repository, tag, json.dumps(manifest).encode(), MANIFEST)

    def push_index(self, repository: str, tag: str) -> None:
        listed = [
            {"mediaType": MANIFEST, "size": 2, "digest": _digest(name), "platform": _platform(name)}
            for name in ("amd64", "arm64")
        ]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}
        self.fake.registry.push(repository, tag, json.dumps(index).encode(), INDEX)

    def home(self, person: str) -> Path:
        """Return a person's home, made at the first mention."""
        path = self.directory / person
        path.mkdir(exist_ok=True)
        self.environments.setdefault(person, {"HOME": str(path)})
        return path

    def perform(self, person: str, line: str) -> str:
        """Do what one line of a session says, and return what it prints."""
        home, (program, *words) = self.home(person), shlex.split(line)
        with contextlib.chdir(home), mock.patch.dict(os.environ, self.environments[person], clear=True):
            if program == "notarypy":
                return self.notarypy([self.ids.get(word, word) for word in words])
            {"export": self.export, "openssl": _openssl, "skopeo": self.skopeo}[program](person, words)
        return ""

    def notarypy(self, words: list[str]) -> str:
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            self.exit_code = run(words)
        return output.getvalue()

    def export(self, person: str, words: list[str]) -> None:
        for word in words:
            variable, _, value = word.partition("=")
            self.environments[person][variable] = value

    def skopeo(self, _: str, words: list[str]) -> None:
        reference = words[-1].removeprefix(f"docker://{REGISTRY}/")
        repository, _, tag = reference.partition(":")
        self.push(repository, tag, words[1])

    def hand_over(self) -> None:
        """Give everybody the public keys of all others."""
        for public in [*self.directory.glob("*/*.pub")]:
            for home in self.directory.iterdir():
                if home != public.parent:
                    shutil.copy(public, home)

    def expected(self, shown: str, printed: str) -> str:
        """Return what the page shows with this run's ids in place of its own."""
        found = HEX.findall(printed)
        for number, value in enumerate(HEX.findall(shown)):
            self.ids.setdefault(value, found[number] if number < len(found) else "none")
        return _sizeless(HEX.sub(lambda match: self.ids[match[0]], shown))


def _digest(content: str) -> str:
    return f"sha256:{content.encode().hex()[:64]:0<64}"


def _platform(architecture: str) -> dict[str, str]:
    return {"os": "linux", "architecture": architecture}


def _sizeless(text: str) -> str:
    return re.sub(r"\b\d+ bytes", "N bytes", text)


def _openssl(_: str, words: list[str]) -> None:
    """Make what the two lines of openssl make: a key in its older form, or a certificate for it."""
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    output = Path(words[words.index("-out") + 1])
    if words[0] == "ecparam":
        key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PrivateFormat.TraditionalOpenSSL
        plain = serialization.NoEncryption()
        output.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
        return
    signer = serialization.load_pem_private_key(Path(words[words.index("-key") + 1]).read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "jeff")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, signer.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=365))
        .sign(signer, hashes.SHA256())
    )
    output.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def steps(text: str) -> list[tuple[str, str]]:
    """Return the commands of a block, each with what the page shows below it."""
    parts = re.split(r"^\$ (.*)$\n?", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(tmp_path)
    monkeypatch.setattr("notarypy.remote.http.adapter.HttpTransport", lambda *_: made.fake)
    for repository in ("admin/demo", "shop/cart"):
        made.push(repository, "1", "one")
        made.push(repository, "2", "two")
        made.push_index(repository, "multi")
    return made


@pytest.mark.parametrize(("page", "count"), [("README.md", 9), ("docs/tutorial.md", 20)])
def test_a_session_goes_as_the_page_shows(stage: Stage, page: str, count: int) -> None:
    performed = 0
    for block in pages.blocks(pages.read(page), "console"):
        for line, shown in steps(block.text):
            printed = stage.perform(block.note or "jeff", line)
            expected = stage.expected(shown, printed)
            assert _sizeless(printed).strip("\n") == expected.strip("\n"), line
            performed += 1
        stage.hand_over()
    assert performed >= count


def test_the_readmes_library_example_runs(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    page = pages.read("README.md")
    for block in pages.blocks(page, "console"):
        for line, _ in steps(block.text):
            stage.perform("jeff", line)
    (example,) = pages.blocks(page, "python")
    with mock.patch.dict(os.environ, stage.environments["jeff"], clear=True):
        exec(compile(example.text, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith(f"{REGISTRY}/admin/demo@sha256:")


# Each way out: a page, and its section if it is one of several.
WAYS = [
    ("README.md", "The way out"),
    ("docs/migrating.md", ""),
    ("docs/migrating/cosign.md", ""),
    ("docs/migrating/policies.md", ""),
    ("docs/leaving-notary.md", "Docker Hub, until 2026-12-08"),
    ("docs/leaving-notary.md", "Twelve weeks"),
    ("docs/leaving-notary.md", "Harbor, up to 2.8"),
]
FROM = {
    "Dockerfile": "FROM docker.io/vendor/tool:1\n",
    "compose.yaml": "services: {tool: {image: 'docker.io/vendor/tool:1'}}\n",
}
# What they migrate: repositories by path, as hosts have them.
OWNED = {
    REGISTRY: ("app", "web"),
    "docker.io": ("acme/app", "acme/web", "vendor/tool"),
    "harbor.example.com": ("team/app",),
}
APP = f"{REGISTRY}/app"
WORDS = {"REF": f"{APP}:1", "REPO": APP, "REPO...": APP, "...": "kyverno"}


@pytest.mark.parametrize(("page", "section"), WAYS)
def test_the_commands_of_a_way_out_run_one_after_the_other(stage: Stage, page: str, section: str) -> None:
    """As printed, where repositories have signed tags; a report is exit 3 while no key is given."""
    text = pages.sections(pages.read(page))[section] if section else pages.read(page)
    for name in ("Dockerfile", "compose.yaml"):
        (stage.home("jeff") / name).write_text(FROM[name])
    stage.export("jeff", [*SETTINGS, "COSIGN_PASSWORD=passphrase-of-cosign"])
    stage.perform("jeff", "notarypy key generate jeff")
    for host, paths in OWNED.items():
        stage.fake.services[host.replace("docker.io", "registry-1.docker.io")] = stage.fake.registry
        for path in paths:
            stage.push(path, "1", path)
            stage.push(path, "2", path)
            stage.perform("jeff", f"notarypy signer add --key jeff.pub jeff {host}/{path}")
            stage.perform("jeff", f"notarypy sign {host}/{path}:1 {host}/{path}:2")
    blocks = [*pages.blocks(text, "sh"), *pages.blocks(text, "console")]
    blocks.sort(key=lambda block: text.index(block.text))
    if page == "docs/migrating/policies.md":  # it says where the key is made
        stage.perform("jeff", "notarypy key generate release")
    code = [line for block in blocks for line in block.text.splitlines()] or pages.spans(text)
    lines = [line.removeprefix("$ ").partition(" || ")[0] for line in code]
    words = [shlex.split(line, comments=True) for line in lines if line.startswith("notarypy ")]
    assert len(words) >= 3
    for line in words:
        printed = stage.perform("jeff", shlex.join(WORDS.get(word, word) for word in line))
        given = "report" not in line or "--key" in line
        assert stage.exit_code == (0 if given else 3), (line, printed)


def test_a_cluster_gets_what_the_page_says(stage: Stage) -> None:
    """The policy, the question beforehand, the manifests with the page's names, and the refusal."""
    page, home = pages.read("docs/kubernetes.md"), stage.home("jeff")
    stage.export("jeff", [*SETTINGS])
    for name in ("jeff", "ci"):
        stage.perform("jeff", f"notarypy key generate {name}")
    stage.push("team/app", "1", "one")
    stage.push("team/app", "2", "two")
    made = stage.perform("jeff", f"notarypy signer add --key ci.pub ci {REGISTRY}/team/app")
    stage.perform("jeff", f"notarypy sign {REGISTRY}/team/app:1")
    stage.fake.services["registry.k8s.io"] = stage.fake.registry
    stage.push("pause", "3.9", "pause")
    (policy,) = pages.blocks(page, "toml")
    pin = made.partition("root pin: ")[2].split()[0]
    (home / "policy.toml").write_text(re.sub(r"[0-9a-f]{64}", pin, policy.text))
    (home / "running.txt").write_text(f"{REGISTRY}/team/app:1\nregistry.k8s.io/pause:3.9\n")
    code = "".join(block.text for block in pages.blocks(page, "sh"))
    lines = [line.partition(" > ")[0] for line in code.splitlines() if line.startswith("notarypy ")]
    assert len(lines) >= 2
    printed = [stage.perform("jeff", line.replace("$(cat digest)", _digest("image"))) for line in lines]
    assert stage.exit_code == 0, printed
    for name in (
        "app.kubernetes.io/component",
        "mutate.notarypy.notarypy.svc",
        "validate.notarypy.notarypy.svc",
    ):
        assert name in page
        assert name.replace("=", ": ") in printed[-1]
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": _request("bad")}
    (home / "review.json").write_text(json.dumps(review))
    answer = json.loads(stage.perform("jeff", "notarypy admission review --policy policy.toml review.json"))
    assert f"denied the request: {answer['response']['status']['message']}\n" in page


def _request(name: str) -> dict[str, object]:
    containers = [{"name": name, "image": f"{REGISTRY}/team/app:2"}]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers}}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    return {"uid": "1", "kind": kind, "operation": "CREATE", "namespace": "team", "object": pod}
