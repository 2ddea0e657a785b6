from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import ConfigurationError, OutOfScopeError
from notarypy.limits import DEFAULT
from notarypy.storage.settings.policyfile import Pins, PolicyFile, Scope, TrustPolicy
from notarypy.tuf.policy import MaxAge, Requirements, Signers

PIN = "0123456789abcdef" * 4
HOME = Path("/home/me")
SCOPE = '[scope."r.test"]\n'


def read(tmp_path: Path, text: str) -> TrustPolicy:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    found = PolicyFile(path, HOME, named=True).read()
    assert found is not None
    return found


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "policy.toml") in caught.value.message
    return " ".join((caught.value.message, *caught.value.why, advice(caught.value)))


# -- the grammar


def test_reads_everything(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        f"""
        [scope."*"]
        mode = "skip"

        [scope."r.test/team"]
        mode = "audit"
        server = "https://notary.test:443/"
        signers.all = ["ci", "targets/release/final"]
        signers.any = ["a", "b", "c"]
        signers.threshold = 2
        signers.everyone = true
        roots.ids = ["{PIN.upper()}"]
        roots.certificates = ["root.pem", "~/other.pem"]
        roots.ca = "/etc/ca.pem"
        max_age.timestamp = "3d"
        max_age.signatures = "8w"
        lifetime.timestamp = "36h"
        signed_as = "index.docker.io/library"

        [scope."Localhost:5000"]
        first_use = true
        """,
    )
    source = f'scope "r.test/team" in {tmp_path / "policy.toml"}'
    assert list(found.scopes) == ["*", "r.test/team", "Localhost:5000"]
    assert found.scopes["*"].mode == "skip"
    assert found.scopes["Localhost:5000"].first_use
    assert found.scopes["r.test/team"] == Scope(
        prefix="r.test/team",
        source=source,
        mode="audit",
        requirements=Requirements(
            Signers(
                ("targets/ci", "targets/release/final"),
                ("targets/a", "targets/b", "targets/c"),
                2,
                everyone=True,
            ),
            MaxAge(timedelta(days=3), timedelta(weeks=8), timedelta(hours=36)),
            source,
        ),
        roots=Pins((PIN,), (tmp_path / "root.pem", HOME / "other.pem"), Path("/etc/ca.pem"), source),
        server="https://notary.test",
        signed_as="docker.io/library",
    )


def test_what_is_left_out_requires_nothing_and_allows_no_first_use(tmp_path: Path) -> None:
    scope = read(tmp_path, SCOPE).scopes["r.test"]
    assert (scope.mode, scope.first_use, scope.server, scope.signed_as) == ("enforce", False, None, None)
    assert (scope.requirements.signers, scope.requirements.max_age) == (Signers(), MaxAge())
    assert not scope.roots


def test_any_alone_wants_one(tmp_path: Path) -> None:
    scope = read(tmp_path, SCOPE + 'signers.any = ["a", "b"]').scopes["r.test"]
    assert scope.requirements.signers == Signers(some=("targets/a", "targets/b"), threshold=1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_up_to_all_may_be_wanted(tmp_path: Path, count: int) -> None:
    lines = f'signers.any = ["a", "b", "c"]\nsigners.threshold = {count}'
    assert read(tmp_path, SCOPE + lines).scopes["r.test"].requirements.signers.threshold == count


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("scopes = 1", "no such key"),
        ("default = 'skip'", "no such key"),
        ("scope = []", "not a table"),
        ("[scope]\n'r.test' = 1", "not a table"),
        ("[scope.'r.test']\n[scope.'R.TEST']", "two tables"),
        ("[scope.'docker.io']\n[scope.'index.docker.io']", "two tables"),
        ("[scope.alpine]", "no registry"),
        ("[scope.'library/alpine']", "no registry"),
        ("[scope.'']", "no registry"),
        ("[scope.'r.test/']", "empty"),
        ("[scope.'r.test/*']", "% *"),
        ("[scope.'*.test']", "% *"),
        ("[scope.'r.test/../x']", ".."),
        ("[scope.'r_x.test/a']", "not a host name"),
        ("[scope.'https://r.test']", "empty"),
        ("[scope.'r.test/a:1']", "a tag"),
        ("[scope.'r.test/a@sha256:00']", "a digest"),
        (SCOPE + "signer = ['a']", "no such key"),
        (SCOPE + "mode = 'permissive'", "enforce, audit or skip"),
        (SCOPE + "mode = ''", "empty"),
        (SCOPE + "mode = 1", "not a text"),
        (SCOPE + "mode = 'skip'\nfirst_use = true", "skip verifies nothing"),
        (SCOPE + "mode = 'skip'\nsigners.all = ['a']", "skip verifies nothing"),
        (SCOPE + "first_use = 'yes'", "neither true nor false"),
        (SCOPE + f"first_use = true\nroots.ids = ['{PIN}']", "roots are pinned"),
        (SCOPE + "server = 'http://notary.corp'", "is not https"),
        (SCOPE + "signers = ['a']", "not a table"),
        (SCOPE + "signers.all = []", "names nobody"),
        (SCOPE + "signers.any = []", "names nobody"),
        (SCOPE + "signers.all = 'a'", "list of texts"),
        (SCOPE + "signers.all = ['A B']", "not a signer name"),
        (SCOPE + "signers.all = ['releases']", "reserved"),
        (SCOPE + "signers.any = ['a', 'targets/a']", "twice"),
        (SCOPE + "signers.threshold = 1", "there is none"),
        (SCOPE + "signers.any = ['a']\nsigners.threshold = 0", "from 1 to 1"),
        (SCOPE + "signers.any = ['a', 'b']\nsigners.threshold = 3", "from 1 to 2"),
        (SCOPE + "signers.any = ['a']\nsigners.threshold = true", "from 1 to 1"),
        (SCOPE + "signers.any = ['a']\nsigners.threshold = 1.0", "from 1 to 1"),
        (SCOPE + "signers.none = ['a']", "no such key"),
        (SCOPE + "signers.everyone = 1", "neither true nor false"),
        (SCOPE + "roots.ids = []", "names no root"),
        (SCOPE + "roots.ids = ['abc']", "64 hex"),
        (SCOPE + "roots.certificates = []", "names no file"),
        (SCOPE + "roots.certificates = ['']", "is empty"),
        (SCOPE + "roots.ca = ''", "empty"),
        (SCOPE + "roots.keys = []", "no such key"),
        (SCOPE + "max_age = '3d'", "not a table"),
        (SCOPE + "max_age.timestamp = 3", "not a text"),
        (SCOPE + "max_age.timestamp = '0d'", "span of time"),
        (SCOPE + "max_age.timestamp = '3 d'", "span of time"),
        (SCOPE + "max_age.timestamp = '-3d'", "span of time"),
        (SCOPE + "max_age.root = '3d'", "no such key"),
        (SCOPE + "lifetime.timestamp = '7d'", "only with max_age.timestamp"),
        (SCOPE + "signed_as = 'library'", "no registry"),
        (SCOPE + "signed_as = '*'", "replaced"),
        ("[scope.'*']\nsigned_as = 'docker.io'", "replaced"),
        ("a = ", "is not TOML"),
        ("a = " + "[" * 20_000, "is not TOML"),
    ],
)
def test_refuses_what_could_mean_nothing(tmp_path: Path, text: str, part: str) -> None:
    assert part in refused(tmp_path, text)


# -- scopes


def test_the_longest_scope_counts_and_none_is_a_refusal(tmp_path: Path) -> None:
    found = read(tmp_path, SCOPE + '[scope."r.test/team"]')
    assert found.scope_for("r.test/team/app").prefix == "r.test/team"
    assert found.scope_for("r.test/teams").prefix == "r.test"
    with pytest.raises(OutOfScopeError, match=r"no scope for s\.test/app") as caught:
        found.scope_for("s.test/app")
    assert caught.value.why == (f"the policy is {found.path}", "its scopes: r.test, r.test/team")
    assert (caught.value.code, caught.value.exit_code) == ("policy.no_scope", 10)


@pytest.mark.parametrize("text", ["", "[scope]", "# nothing"])
def test_an_empty_policy_refuses_everything(tmp_path: Path, text: str) -> None:
    with pytest.raises(OutOfScopeError):
        read(tmp_path, text).scope_for("r.test/app")


def test_a_mirror_has_the_name_of_what_it_mirrors(tmp_path: Path) -> None:
    found = read(tmp_path, '[scope."m.test/hub"]\nsigned_as = "docker.io"').scopes["m.test/hub"]
    assert found.gun("m.test/hub/library/alpine") == "docker.io/library/alpine"
    assert found.gun("M.TEST/hub/library/alpine") == "docker.io/library/alpine"
    assert Scope("r.test", "").gun("r.test/a") == "r.test/a"


# -- the file


def test_the_usual_file_need_not_exist_and_a_named_one_must(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    assert PolicyFile(path, HOME, named=False).read() is None
    with pytest.raises(ConfigurationError, match="cannot be read"):
        PolicyFile(path, HOME, named=True).read()


def test_a_file_that_is_there_and_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    (tmp_path / "huge").write_bytes(b" " * (DEFAULT.config_bytes + 1))
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "latin").write_bytes(b"# \xff")
    (tmp_path / "file").touch()
    for name in ("fifo", "directory", "huge", "dangling", "latin", "file/policy.toml"):
        with pytest.raises(ConfigurationError):
            PolicyFile(tmp_path / name, HOME, named=False).read()


def test_a_mounted_file_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(SCOPE)
    (tmp_path / "policy.toml").symlink_to("real")
    found = PolicyFile(tmp_path / "policy.toml", HOME, named=False).read()
    assert found is not None
    assert list(found.scopes) == ["r.test"]
