"""The images of `Containerfile`, built by buildah without a network, and what is in them at work."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pip
import pytest
import yaml

import notarypy
from docs import pages
from interop.harness import baseimage, programs
from support.listening import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.harness.images import Repository
    from interop.harness.once import Once
    from interop.harness.people import Person
    from interop.harness.programs import Run

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
WHEELS = Path(sys.prefix, "wheels")
USER = 65532
# What buildah makes where it mounts something, and to run anything.
OF_BUILDAH = {"dev", "etc", "etc/hosts", "etc/resolv.conf", "proc", "run", "run/.containerenv", "sys"}
PIN = "7d58a3f1c2b4e6907d58a3f1c2b4e6907d58a3f1c2b4e6907d58a3f1c2b4e690"


# The targets of the file, and what each is called without arguments.
TARGETS = {"cli": "--help", "service": "serve"}


class Yard:
    """A storage of buildah's own, and the images in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy = f"--signature-policy={folder}/policy.json"
        self.environment = {
            "PATH": programs.SEARCH_PATH,
            "HOME": str(folder),
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }

    @property
    def base_size(self) -> int:
        return int((self.folder / "base-size").read_text())

    def build(self) -> None:
        """Build the base out of what is here, and the images on it."""
        folder = self.folder
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        for driver in ("overlay", "vfs"):  # the second works everywhere, and copies all files again and again
            lines = f'driver = "{driver}"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
            (folder / "storage.conf").write_text(f"[storage]\n{lines}")
            if self.buildah("from", "--name=try", "scratch").code == 0:
                break
        self.buildah("rm", "try").expect(0)
        root = folder / "root"
        baseimage.make(root, Path(pip.__file__).parent)
        (folder / "base-size").write_text(str(size(root)))
        self._build(root)

    def buildah(self, *words: str | Path) -> Run:
        return programs.run(["buildah", *map(str, words)], self.environment)

    def _build(self, root: Path) -> None:
        base = self.buildah("from", self.policy, "scratch").expect(0).stdout.strip()
        self.buildah("add", "--quiet", base, root, "/").expect(0)
        self.buildah("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", base).expect(0)
        self.buildah("commit", "--quiet", self.policy, "--rm", base, "localhost/base").expect(0)
        shutil.rmtree(root)
        given = {
            "BASE": "localhost/base",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "/wheels",
            "REVISION": "abc",
            "VERSION": "1.2.3",
        }
        argv = [f"--build-arg={name}={value}" for name, value in given.items()]
        argv += ["--network=none", "--pull-never", f"--volume={WHEELS}:/wheels:ro", "--layers"]
        for target in TARGETS:
            words = [
                "buildah",
                "bud",
                self.policy,
                *argv,
                f"--target={target}",
                f"--tag={target}",
                str(CHECKOUT),
            ]
            programs.collect(programs.start(words, self.environment), timeout=600).expect(0)

    def container(self, target: str) -> str:
        return (
            self.buildah("from", self.policy, "--pull-never", f"localhost/{target}").expect(0).stdout.strip()
        )

    def config(self, target: str) -> dict[str, Any]:
        described = json.loads(
            self.buildah("inspect", "--type", "image", f"localhost/{target}").expect(0).stdout
        )
        found: dict[str, Any] = described["OCIv1"]["config"]
        return found


def size(root: Path) -> int:
    """Return what the files below a folder take, each once."""
    found = [path.lstat() for path in root.rglob("*")]
    return sum({each.st_ino: each.st_size for each in found if stat.S_ISREG(each.st_mode)}.values())


@pytest.fixture(scope="module")
def yard(once: Once) -> Yard:
    assert (WHEELS / "packages.txt").exists(), "scripts/setup brings the packages of the images"
    assert os.geteuid() == 0, "files in images belong to other users: CONTRIBUTING.md says how to test them"
    return Yard(once.made("yard", lambda folder: Yard(folder).build()))


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def root(yard: Yard, target: str) -> Iterator[Path]:
    """Return the file system of a container that nothing ran in."""
    container = yard.container(target)
    yield Path(yard.buildah("mount", container).expect(0).stdout.strip())
    yard.buildah("rm", container).expect(0)


def test_it_says_what_it_is(yard: Yard, target: str) -> None:
    config = yard.config(target)
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] == ["notarypy"]
    assert config["Cmd"] == [TARGETS[target]]
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert labels["title"] == "notarypy"
    assert labels["version"] == "1.2.3"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["revision"] == "abc"
    assert labels["base.name"] == "localhost/base"


def test_the_bill_of_materials_is_where_the_label_says(yard: Yard, target: str, root: Path) -> None:
    config = yard.config(target)
    assert config["Labels"]["io.notarypy.sbom.format"] == "application/vnd.cyclonedx+json"
    document = json.loads((root / config["Labels"]["io.notarypy.sbom"].lstrip("/")).read_text())
    assert document["bomFormat"] == "CycloneDX"
    listed = {each["name"]: each["version"] for each in document["components"]}
    (packages,) = (root / "opt" / "notarypy" / "lib").glob("python*/site-packages")
    installed = {each.name: each.version for each in metadata.distributions(path=[str(packages)])}
    assert listed == {**installed, "python": sys.version.partition(" ")[0]}
    lock = {"cli": "cli-packages.txt", "service": "image-packages.txt"}[target]
    locked = (CHECKOUT / "scripts" / lock).read_text()
    pinned = {f"{name}=={version}" for name, version in re.findall(r"^(\S+)==(\S+)", locked, re.MULTILINE)}
    there = {f"{name.lower().replace('_', '-')}=={version}" for name, version in installed.items()}
    assert there - pinned == {f"notarypy=={notarypy.__version__}"}
    assert {each.partition("==")[0] for each in pinned - there} <= {"colorama"}
    references = [each["bom-ref"] for each in document["components"]]
    assert len(set(references)) == len(references)


def test_it_is_small(yard: Yard, target: str, root: Path) -> None:
    """What is taken away from the base is counted, too: what installs has a dozen of these."""
    where = {"cli": "notarypy takes", "service": "the service"}[target]
    assert size(root / "opt") < pages.megabytes("docs/installing.md", where)[0]
    assert size(root) < yard.base_size + size(root / "opt")


def test_it_has_what_runs_and_nothing_that_installs_or_compiles(root: Path) -> None:
    names = {path.name for path in root.rglob("*")}
    assert not names & {"pip", "setuptools", "wheel", "hatchling", "ensurepip", "gcc", "cc", "ld", "source"}
    assert not any(name.startswith(("pip-", "setuptools-", "hatchling-")) for name in names)
    (package,) = (root / "opt" / "notarypy" / "lib").glob("python*/site-packages/notarypy")
    compiled = {path.name.partition(".")[0] for path in package.glob("__pycache__/*.pyc")}
    assert compiled == {path.stem for path in package.glob("*.py")}


def test_its_user_can_write_trust_data_and_temporary_files_alone(root: Path) -> None:
    writable = []
    for path in (root, *root.rglob("*")):
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            continue
        assert not found.st_mode & (stat.S_ISUID | stat.S_ISGID), path
        if found.st_mode & stat.S_IWOTH or USER in {found.st_uid, found.st_gid}:
            writable.append(f"/{path.relative_to(root)}")
    assert sorted(writable) == ["/tmp", "/var/lib/notarypy"]


def test_its_program_runs_as_a_user_without_rights(yard: Yard, target: str) -> None:
    container = yard.container(target)
    done = yard.buildah("run", "--network=none", container, "--", "notarypy", "--version").expect(0)
    assert done.stdout.strip() == f"notarypy {notarypy.__version__}"
    script = "import os; print(os.getuid(), os.getgid(), os.getgroups())"
    done = yard.buildah("run", container, "--", "/opt/notarypy/bin/python3", "-c", script).expect(0)
    assert done.stdout.split()[:2] == [str(USER), str(USER)]
    yard.buildah("rm", container).expect(0)


def test_the_command_line_in_it_signs_and_verifies(yard: Yard, alice: Person, repository: Repository) -> None:
    digest = repository.push("1").digest
    for path in (alice.docker_config, *alice.docker_config.rglob("*")):
        os.chown(path, USER, USER)
    container = yard.container("cli")
    words = [f"--volume={alice.docker_config}:/var/lib/notarypy/.docker"]
    words += [
        f"--env={name}={text}"
        for name, text in alice.environment.items()
        if name not in {"HOME", "DOCKER_CONFIG"}
    ]

    def inside(*arguments: str) -> Run:
        return yard.buildah("run", *words, container, "--", "notarypy", *arguments).expect(0)

    inside("init", repository.name)
    inside("sign", f"{repository.name}:1")
    assert inside("verify", f"{repository.name}:1").stdout == f"{repository.name}@{digest}\n"
    yard.buildah("rm", container).expect(0)


def laid_out(folder: Path, found: dict[str, Any]) -> list[str]:
    """Lay out the volumes of the pod as a node does, and return buildah's words for them."""
    (folder / "policy.toml").write_text(found["ConfigMap notarypy-policy"]["data"]["policy.toml"])
    pod = found["Deployment notarypy"]["spec"]["template"]["spec"]
    mounts = {each["name"]: each for each in pod["containers"][0]["volumeMounts"]}
    for name in mounts:
        (folder / name).mkdir()
    shutil.move(folder / "policy.toml", folder / "policy")
    for name, text in found["Secret notarypy-tls"]["stringData"].items():
        path = folder / "tls" / name
        path.write_text(text)
        os.chown(path, 0, USER)
        path.chmod(0o440)
    for name in ("trust", "tmp"):
        os.chown(folder / name, 0, USER)
        (folder / name).chmod(0o2777)
    return [
        f"--volume={folder / name}:{each['mountPath']}{':ro' if each.get('readOnly') else ''}"
        for name, each in mounts.items()
    ]


def test_the_service_starts_in_it_as_the_deployment_says(yard: Yard, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[scope."registry.test"]\nroots.ids = ["{PIN}"]\n')
    argv = ["notarypy", "admission", "manifests", "--image", "registry.test/notarypy:1", "--self-signed"]
    printed = programs.run([*argv, "--policy", str(policy)], {"HOME": str(tmp_path)}).expect(0).stdout
    read = list(yaml.safe_load_all(printed))
    found = {f"{each['kind']} {each['metadata']['name']}": each for each in read}
    (tmp_path / "pod").mkdir()
    volumes = laid_out(tmp_path / "pod", found)
    (described,) = found["Deployment notarypy"]["spec"]["template"]["spec"]["containers"]
    replaced = {":8443": "127.0.0.1:0", "10s": "0s"}
    assert replaced.keys() <= set(described["args"])
    words = [replaced.get(word, word) for word in described["args"]]
    container = yard.container("service")
    mounted = Path(yard.buildah("mount", container).expect(0).stdout.strip())
    before = {path: path.lstat().st_mtime_ns for path in mounted.rglob("*")}
    command = [programs.find("buildah"), "run", *volumes, container, "--", "notarypy", *words]
    authority = found["Secret notarypy-tls"]["stringData"]["ca.crt"]
    with listening(command, yard.environment) as service:
        for path in ("/healthz", "/readyz"):
            assert service.page(path, "notarypy.notarypy.svc", authority) == "HTTP/1.1 200 OK"
    (directory,) = [word for word in words if word.startswith("/var/lib/notarypy")]
    script = f"import pathlib, notarypy.files as f; f.make_private_directory(pathlib.Path('{directory}'))"
    python = ("/opt/notarypy/bin/python3", "-c", script)
    yard.buildah("run", *volumes, container, "--", *python).expect(0)
    made = tmp_path / "pod" / "trust" / Path(directory).name
    assert (made.stat().st_uid, stat.S_IMODE(made.stat().st_mode) & 0o777) == (USER, 0o700)
    changed = {path for path in mounted.rglob("*") if before.get(path) != path.lstat().st_mtime_ns}
    names = {str(path.relative_to(mounted)) for path in changed}
    assert {name for name in names if not name.startswith("etc/notarypy")} <= OF_BUILDAH
    yard.buildah("rm", container).expect(0)
