"""The image of `Containerfile`, built by buildah without a network, and the service in it."""

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
from interop.harness import baseimage, programs
from support.listening import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.harness.programs import Run

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
WHEELS = Path(sys.prefix, "wheels")
USER = 65532
# What buildah makes where it mounts something, and to run anything.
OF_BUILDAH = {"dev", "etc", "etc/hosts", "etc/resolv.conf", "proc", "run", "run/.containerenv", "sys"}
PIN = "7d58a3f1c2b4e6907d58a3f1c2b4e6907d58a3f1c2b4e6907d58a3f1c2b4e690"


class Yard:
    """A storage of buildah's own, and the image in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
        )
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.environment = {
            "PATH": programs.SEARCH_PATH,
            "HOME": str(folder),
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }

    def buildah(self, *words: str | Path) -> Run:
        return programs.run(["buildah", *map(str, words)], self.environment)

    def build(self) -> None:
        """Build the base out of what is here, and the image on it."""
        root = self.folder / "root"
        baseimage.make(root, Path(pip.__file__).parent)
        policy = f"--signature-policy={self.folder}/policy.json"
        base = self.buildah("from", policy, "scratch").expect(0).stdout.strip()
        self.buildah("add", "--quiet", base, root, "/").expect(0)
        self.buildah("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", base).expect(0)
        self.buildah("commit", "--quiet", policy, "--rm", base, "localhost/base").expect(0)
        shutil.rmtree(root)
        given = {
            "BASE": "localhost/base",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "/wheels",
            "REVISION": "abc",
        }
        argv = [f"--build-arg={name}={value}" for name, value in given.items()]
        argv += ["--network=none", "--pull-never", f"--volume={WHEELS}:/wheels:ro", "--tag=notarypy"]
        words = ["buildah", "bud", policy, *argv, str(CHECKOUT)]
        programs.collect(programs.start(words, self.environment), timeout=600).expect(0)

    def container(self) -> str:
        policy = f"--signature-policy={self.folder}/policy.json"
        return self.buildah("from", policy, "--pull-never", "localhost/notarypy").expect(0).stdout.strip()


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    assert (WHEELS / "packages.txt").exists(), "scripts/setup brings the packages of the image"
    made = Yard(tmp_path_factory.mktemp("yard"))
    made.build()
    yield made
    shutil.rmtree(made.folder)  # a storage without layers takes much room


@pytest.fixture(scope="module")
def root(yard: Yard) -> Iterator[Path]:
    """Return the file system of a container that nothing ran in."""
    container = yard.container()
    yield Path(yard.buildah("mount", container).expect(0).stdout.strip())
    yard.buildah("rm", container).expect(0)


@pytest.fixture(scope="module")
def config(yard: Yard) -> dict[str, Any]:
    described = json.loads(yard.buildah("inspect", "--type", "image", "localhost/notarypy").expect(0).stdout)
    found: dict[str, Any] = described["OCIv1"]["config"]
    return found


def test_it_says_what_it_is(config: dict[str, Any]) -> None:
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] == ["notarypy"]
    assert config["Cmd"] == ["serve"]
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert labels["title"] == "notarypy"
    assert labels["version"] == notarypy.__version__
    assert labels["licenses"] == "Apache-2.0"
    assert labels["revision"] == "abc"
    assert labels["base.name"] == "localhost/base"


def test_the_bill_of_materials_is_where_the_label_says(config: dict[str, Any], root: Path) -> None:
    assert config["Labels"]["io.notarypy.sbom.format"] == "application/vnd.cyclonedx+json"
    document = json.loads((root / config["Labels"]["io.notarypy.sbom"].lstrip("/")).read_text())
    assert document["bomFormat"] == "CycloneDX"
    listed = {each["name"]: each["version"] for each in document["components"]}
    (packages,) = (root / "opt" / "notarypy" / "lib").glob("python*/site-packages")
    installed = {each.name: each.version for each in metadata.distributions(path=[str(packages)])}
    assert listed == {**installed, "python": sys.version.partition(" ")[0]}
    locked = (CHECKOUT / "scripts" / "image-packages.txt").read_text()
    pinned = {f"{name}=={version}" for name, version in re.findall(r"^(\S+)==(\S+)", locked, re.MULTILINE)}
    there = {f"{name.lower().replace('_', '-')}=={version}" for name, version in installed.items()}
    assert there - pinned == {f"notarypy=={notarypy.__version__}"}
    assert {each.partition("==")[0] for each in pinned - there} <= {"colorama"}
    references = [each["bom-ref"] for each in document["components"]]
    assert len(set(references)) == len(references)


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


def test_its_program_runs_as_a_user_without_a_home(yard: Yard) -> None:
    container = yard.container()
    done = yard.buildah("run", "--network=none", container, "--", "notarypy", "--version").expect(0)
    assert done.stdout.strip() == f"notarypy {notarypy.__version__}"
    script = "import os; print(os.getuid(), os.getgid(), os.getgroups())"
    done = yard.buildah("run", container, "--", "/opt/notarypy/bin/python3", "-c", script).expect(0)
    assert done.stdout.split()[:2] == [str(USER), str(USER)]
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
    container = yard.container()
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
