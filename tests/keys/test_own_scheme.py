"""A scheme of somebody else's: one class, one entry point, and the example of the documentation."""

from __future__ import annotations

import importlib
import os
import runpy
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy import Client, testing
from notarypy.errors import BackendMissingError, KeyAccessError, KeyChangedError
from notarypy.keys.signers import SIGNERS, backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from notarypy.devserver.start import Running

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "acmesign"
notary_server, registry, notary_clock = testing.notary_server, testing.registry, testing.notary_clock
devserver, trust_dir = testing.devserver, testing.trust_dir


def install(target: Path, name: str, points: dict[str, str]) -> None:
    """Leave behind what installing a package with such entry points leaves behind."""
    folder = target / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{scheme} = {value}\n" for scheme, value in points.items()]
    (folder / "entry_points.txt").write_text("[notarypy.signers]\n" + "".join(lines))


# -- packages that are not as they say


@pytest.mark.parametrize(
    ("module", "value", "problem"),
    [
        (None, "absent_module:Signer", "ModuleNotFoundError"),
        ("import absent_sdk", "{module}:Signer", "No module named 'absent_sdk'"),
        ("1 / 0", "{module}:Signer", "ZeroDivisionError"),
        ("x = (", "{module}:Signer", "SyntaxError"),
        ("raise SystemExit(0)", "{module}:Signer", "SystemExit"),
        ("raise GeneratorExit", "{module}:Signer", "GeneratorExit"),
        ("", "{module}:Signer", "AttributeError"),
        ("", "{module}", "AttributeError"),
        ("class Signer: pass", "{module}:Signer", "is no class derived from ExternalSigner"),
        ("def Signer(uri): pass", "{module}:Signer", "is no class derived from ExternalSigner"),
    ],
)
def test_a_package_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str | None, value: str, problem: str
) -> None:
    name = f"own_{abs(hash((module, value)))}"
    if module is not None:
        (tmp_path / f"{name}.py").write_text(module)
    install(tmp_path, "own", {"own": value.format(module=name)})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendMissingError, match=r"what leads to keys at own: cannot be loaded") as caught:
        backend("own:key")
    assert problem in caught.value.why[0]
    assert caught.value.exit_code == 6


def test_two_packages_with_one_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "one", {"own": "one:Signer"})
    install(tmp_path, "two", {"own": "two:Signer"})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendMissingError, match="several packages lead to keys at own:") as caught:
        backend("own:key")
    assert caught.value.why == ("one:Signer, two:Signer",)


def test_no_package_takes_the_place_of_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "own", dict.fromkeys(SIGNERS, "absent_module:Signer"))
    monkeypatch.syspath_prepend(tmp_path)
    for scheme, value in SIGNERS.items():
        assert backend(f"{scheme}:key").__module__ == value.partition(":")[0]


def test_an_unknown_scheme_names_those_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "own", {"own": "own:Signer"})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendMissingError) as caught:
        backend("other:key")
    assert {*SIGNERS, "own"} <= set(caught.value.why[0].removeprefix("keys may be at: ").split(", "))


BROKEN = """
from notarypy import ExternalSigner, PublicKey
from notarypy.testing import FakeSigner

KEY = FakeSigner()

class Signer(ExternalSigner):
    @classmethod
    def open(cls, uri, context):
        if "closed" in uri:
            raise LookupError("no such drawer")
        return cls(uri, KEY.public)

    def sign(self, message):
        raise LookupError("the drawer is stuck: eyJ0b2tlbg.eyJ0b2tlbg")

    def properties(self):
        raise LookupError("the drawer says nothing")
"""


def test_what_a_package_raises_is_no_defect_of_ours(
    tmp_path: Path, trust_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_broken.py").write_text(BROKEN)
    install(tmp_path, "own", {"own": "own_broken:Signer"})
    monkeypatch.syspath_prepend(tmp_path)
    client = Client(trust_dir=trust_dir)
    with pytest.raises(KeyAccessError, match="the package that leads to own:closed failed") as closed:
        client.keys.add("own:closed", name="jeff")
    assert closed.value.why == ("own_broken.Signer: LookupError: no such drawer",)
    assert not trust_dir.exists()
    stored = client.keys.add("own:key", name="jeff")
    with pytest.raises(KeyAccessError, match="the package that leads to own:key failed") as stuck:
        client.keys.test(stored.keyid)
    assert isinstance(stuck.value.__cause__, LookupError)
    assert stuck.value.why == ("own_broken.Signer: LookupError: the drawer is stuck: ...",)
    importlib.import_module("own_broken").Signer.sign = lambda _, message: importlib.import_module(
        "own_broken"
    ).KEY.sign(message)
    with pytest.raises(KeyAccessError, match="the package that leads to own:key failed"):
        client.keys.test(stored.keyid)


DOES = {
    "open": "return cls(uri, KEY.public)",
    "generate": "return cls(uri, KEY.public)",
    "sign": "return KEY.sign(message)",
    "properties": "return {}",
    "prepare": "pass",
}
ENDS = ["raise SystemExit(0)", "raise GeneratorExit", "raise StopIteration", "raise BaseException('so')"]
NO_SIGNER = [
    *ENDS,
    "return None",
    "return uri",
    "return cls",
    "return KEY",
    "return super().open(uri, context)",
    "return object.__new__(cls)",
    "return cls(None, KEY.public)",
    "return cls(uri, KEY.public.public)",
    "return cls('fakekms:other', KEY.public)",
    "return cls('own:me?pin-value=1234', KEY.public)",
    "return cls('own:me\\nrole: root', KEY.public)",
]
WRONG = [
    *(("open", body) for body in NO_SIGNER),
    *(("generate", body) for body in NO_SIGNER),
    *(("sign", body) for body in (*ENDS, "return None", "return 'ecdsa', None", "return b''")),
    *(
        ("properties", body)
        for body in (*ENDS, "return None", "return ['x']", "return {'x': 1}", "return {1: 'x'}")
    ),
    *(("prepare", body) for body in ENDS),
]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what installs a package with a backend of `own:`, whose methods do what is said."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(**does: str) -> None:
        args = {
            "sign": "self, message",
            "open": "cls, uri, context",
            "generate": "cls, uri, context, algorithm",
        }
        lines = [
            "from notarypy import ExternalSigner",
            "from notarypy.testing import FakeSigner",
            "KEY = FakeSigner()",
        ]
        lines.append("class Signer(ExternalSigner):")
        for name, body in (DOES | does).items():
            lines += ["    @classmethod"] if name in ("open", "generate") else []
            lines += [f"    def {name}({args.get(name, 'self')}):", f"        {body}"]
        name = f"own_wrong_{len(list(tmp_path.glob('own_wrong_*.py')))}_{abs(hash(str(tmp_path)))}"
        (tmp_path / f"{name}.py").write_text("\n".join(lines) + "\n")
        shutil.rmtree(tmp_path / "own-1.0.dist-info", ignore_errors=True)
        install(tmp_path, "own", {"own": f"{name}:Signer"})
        importlib.invalidate_caches()

    return write


@pytest.mark.parametrize(("method", "body"), WRONG)
def test_what_a_package_does_wrong_is_an_error_that_names_it(
    own: Callable[..., None], notary_server: testing.NotaryServer, trust_dir: Path, method: str, body: str
) -> None:
    own(**{method: body})
    client = Client(
        server=notary_server.url,
        trust_dir=trust_dir,
        transport=notary_server.fake,
        passphrases=lambda _: "passphrase",
    )
    calls: list[Callable[[], object]] = []
    if method == "open":
        calls = [
            lambda: client.keys.add("own:key", name="jeff"),
            lambda: client.keys.public("own:key"),
            lambda: client.init("registry.test/app", root_key="own:key"),
        ]
    elif method == "generate":
        calls = [lambda: client.keys.generate("jeff", uri="own:key")]
    for call in calls:
        with pytest.raises(KeyAccessError, match="the package that leads to own:key failed") as caught:
            call()
        assert "own_wrong_" in caught.value.why[0]
        assert not list(trust_dir.rglob("*.ref"))
    if not calls:
        stored = client.keys.add("own:key", name="root")
        ask = (
            partial(client.init, "registry.test/app", root_key="root")
            if method != "properties"
            else partial(client.keys.test, stored.keyid)
        )
        with pytest.raises(KeyAccessError, match="own:key") as caught:
            ask()
        assert "own_wrong_" in caught.value.why[0]
        assert not list(trust_dir.rglob("*.key"))
    assert caught.value.exit_code == 6
    assert "pin-value" not in str(vars(caught.value))
    assert not any(line.startswith(("POST", "PUT")) for line in notary_server.requests)


def test_another_key_than_is_noted_is_said_before_it_signs(own: Callable[..., None], trust_dir: Path) -> None:
    own()
    keyid = Client(trust_dir=trust_dir).keys.add("own:key", name="jeff").keyid
    own()  # with another key
    with pytest.raises(KeyChangedError, match="does not sign with key") as caught:
        Client(trust_dir=trust_dir).keys.test(keyid)
    assert "it leads to key" in caught.value.why[0]


@pytest.mark.parametrize("body", ["raise KeyboardInterrupt", "class Now(KeyboardInterrupt): pass; raise Now"])
def test_who_interrupts_a_package_is_heard(own: Callable[..., None], trust_dir: Path, body: str) -> None:
    own(sign=body.replace("; ", "\n        "))
    client = Client(trust_dir=trust_dir)
    keyid = client.keys.add("own:key", name="jeff").keyid
    with pytest.raises(KeyboardInterrupt):
        client.keys.test(keyid)


def test_a_scheme_may_be_written_in_capitals(
    own: Callable[..., None], tmp_path: Path, trust_dir: Path
) -> None:
    own()
    client = Client(trust_dir=trust_dir)
    stored = client.keys.add("OWN:Key", name="jeff")
    assert stored.uri == "own:Key"
    assert client.keys.find("Own:Key").keyid == stored.keyid
    assert client.keys.add("own:Key", name="jeff").already
    reference = trust_dir / "private" / f"{stored.keyid}.ref"
    reference.write_text(reference.read_text().replace("own:Key", "OWN:Key"))
    assert Client(trust_dir=trust_dir).keys.test(stored.keyid).key.uri == "own:Key"
    install(tmp_path, "upper", {"Upper": "absent:Signer"})
    with pytest.raises(BackendMissingError, match="what leads to keys at upper: cannot be loaded"):
        backend("upPer:key")


def test_a_class_in_the_table_is_told_what_belongs_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIGNERS, "own", testing.FakeSigner)  # as somebody might
    with pytest.raises(BackendMissingError) as caught:
        backend("own:key")
    assert 'has "module:class" for a scheme' in caught.value.why[0]


# -- the example


@pytest.fixture
def example(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Install the example, start its daemon, and return the environment of its users."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    target, place = tmp_path / "site", tmp_path / "acme.sock"
    install(target, project["name"].replace("-", "_"), project["entry-points"]["notarypy.signers"])
    shutil.copy(EXAMPLE / "acmesign.py", target)
    command = [sys.executable, str(EXAMPLE / "acmesignd.py"), str(place), "release"]
    with subprocess.Popen(command) as daemon:
        try:
            while not place.exists() and daemon.poll() is None:
                time.sleep(0.05)
            yield {"PYTHONPATH": str(target), "ACMESIGN_SOCKET": str(place)}
        finally:
            daemon.terminate()


def test_the_daemon_of_the_example_starts_where_one_was_killed(tmp_path: Path) -> None:
    clear = runpy.run_path(str(EXAMPLE / "acmesignd.py"))["clear"]
    place = tmp_path / "acme.sock"
    clear(place)
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(place))
        daemon.listen()
        clear(place)
        assert place.is_socket()
    clear(place)
    assert not place.exists()


@pytest.mark.slow
def test_the_example(
    tmp_path: Path,
    devserver: Running,
    registry: testing.Registry,
    example: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*words: str, code: int = 0, **environ: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "notarypy", *words],
            env={**os.environ, **example, **environ}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    host = devserver.registry
    registry.push("app", "1")
    assert "acmesign:release" in run("key", "add", "acmesign:release", "--name", "jeff")
    run("key", "test", "jeff")
    run("signer", "add", "jeff", f"{host}/app", "--key", "acmesign:release")
    run("sign", f"{host}/app:1")
    assert host in run("verify", "--signer", "jeff", f"{host}/app:1")
    assert "acme's daemon has no key" in run("key", "add", "acmesign:other", "--name", "jo", code=6)
    registry.push("app", "2")
    assert "ACMESIGN_SOCKET" in run("sign", f"{host}/app:2", code=2, ACMESIGN_SOCKET="")
    assert "cannot be asked" in run("sign", f"{host}/app:2", code=8, ACMESIGN_SOCKET=str(tmp_path / "no"))
    assert "nothing here signs" in run("sign", f"{host}/app:2", code=6, PYTHONPATH="")
    run("verify", f"{host}/app:2", code=3)  # nothing of that published anything
