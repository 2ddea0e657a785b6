from __future__ import annotations

import os
from pathlib import Path

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import ConfigurationError
from notarypy.limits import DEFAULT
from notarypy.storage.settings.policyfile import PolicyFile
from notarypy.storage.settings.requiredsignatures import CosignKeys, RequiredSignatures

HOME = Path("/home/me")
SCOPE = '[scope."r.test"]\n'
COSIGN = "require = ['cosign']\ncosign.all = ['a.pub']\n"


def read_scope(tmp_path: Path, text: str) -> RequiredSignatures:
    path = tmp_path / "policy.toml"
    path.write_text(SCOPE + text)
    found = PolicyFile(path, HOME, named=True).read()
    assert found is not None
    return found.scopes["r.test"].require


def refused(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_scope(tmp_path, text)
    assert str(tmp_path / "policy.toml") in caught.value.message
    return " ".join((caught.value.message, *caught.value.why, advice(caught.value)))


@pytest.mark.parametrize("text", ["", "require = ['notary']"])
def test_without_a_word_of_it_notary_vouches(tmp_path: Path, text: str) -> None:
    assert read_scope(tmp_path, text) == RequiredSignatures(notary=True, cosign=None, either=False)


@pytest.mark.parametrize(
    ("text", "notary", "either"),
    [
        ("require = ['notary', 'cosign']", True, False),
        ("require = ['cosign', 'notary']", True, False),
        ("require = ['cosign']", False, False),
        ("require_any = ['notary', 'cosign']", True, True),
    ],
)
def test_both_cosign_alone_and_either(tmp_path: Path, text: str, notary: bool, either: bool) -> None:
    source = f'scope "r.test" in {tmp_path / "policy.toml"}'
    keys = CosignKeys((tmp_path / "a.pub",), (HOME / "b.pub", Path("/c.pub")), 2, source)
    lines = "cosign.all = ['a.pub']\ncosign.any = ['~/b.pub', '/c.pub']\ncosign.threshold = 2"
    assert read_scope(tmp_path, f"{text}\n{lines}") == RequiredSignatures(
        notary=notary, cosign=keys, either=either
    )


def test_any_alone_wants_one(tmp_path: Path) -> None:
    found = read_scope(tmp_path, "require = ['cosign']\ncosign.any = ['a.pub', 'b.pub']").cosign
    assert found is not None
    assert (len(found.every), len(found.some), found.threshold) == (0, 2, 1)


def test_a_mirror_may_be_signed_by_cosign_alone(tmp_path: Path) -> None:
    assert not read_scope(tmp_path, COSIGN + "signed_as = 'docker.io'").notary


def test_both_may_be_looked_at_in_audit(tmp_path: Path) -> None:
    lines = "mode = 'audit'\nrequire = ['notary', 'cosign']\ncosign.all = ['a.pub']\nsigners.all = ['ci']"
    assert read_scope(tmp_path, lines).cosign


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("require = []", "names nothing"),
        ("require_any = []", "names nothing"),
        ("require = 'cosign'", "list of texts"),
        ("require = ['Cosign']", '"Cosign" is none'),
        ("require = ['notary', 'notation']", '"notation" is none'),
        ("require = ['notary', 'notary']", "twice"),
        ("require = [['notary', 'cosign']]", "list of texts"),
        ("require_any = ['cosign']\ncosign.all = ['a.pub']", "one alone"),
        ("require_any = ['notary']", "one alone"),
        ("require = ['notary']\nrequire_any = ['notary', 'cosign']\ncosign.all = ['a']", "stands beside"),
        ("require = ['cosign']\ncosign.all = ['awskms:///alias/a']", "only files with public keys"),
        ("require = ['cosign']\ncosign.any = ['keyless']", "only files with public keys"),
        ("cosign.all = ['a.pub']", "nothing requires cosign"),
        ("require = ['notary']\ncosign.all = ['a.pub']", "nothing requires cosign"),
        ("cosign = {}", "nothing requires cosign"),
        ("require = ['notary', 'cosign']", "no key is named"),
        ("require = ['cosign']\ncosign = {}", "no key is named"),
        ("require_any = ['notary', 'cosign']", "no key is named"),
        ("require = ['cosign']\ncosign = ['a.pub']", "not a table"),
        ("require = ['cosign']\ncosign.all = 'a.pub'", "list of texts"),
        ("require = ['cosign']\ncosign.all = []", "names nothing"),
        ("require = ['cosign']\ncosign.any = []\ncosign.all = ['a.pub']", "names nothing"),
        ("require = ['cosign']\ncosign.all = ['']", "is empty"),
        ("require = ['cosign']\ncosign.all = ['a', './a']", "twice"),
        ("require = ['cosign']\ncosign.all = ['a']\ncosign.any = ['a', 'b']", "stands in it, too"),
        ("require = ['cosign']\ncosign.keys = ['a.pub']", "no such key"),
        ("require = ['cosign']\ncosign.identities = ['me']\ncosign.all = ['a']", "no such key"),
        (COSIGN + "cosign.threshold = 1", "there is none"),
        ("require = ['cosign']\ncosign.any = ['a', 'b']\ncosign.threshold = 3", "from 1 to 2"),
        ("require = ['cosign']\ncosign.any = ['a', 'b']\ncosign.threshold = 0", "from 1 to 2"),
        ("require = ['cosign']\ncosign.any = ['a', 'b']\ncosign.threshold = true", "from 1 to 2"),
        (COSIGN + "signers.all = ['ci']", "nothing of Notary"),
        (COSIGN + "roots.ca = 'ca.pem'", "nothing of Notary"),
        (COSIGN + "first_use = true", "nothing of Notary"),
        (COSIGN + "first_use = false", "nothing of Notary"),
        (COSIGN + "server = 'https://n.test'", "nothing of Notary"),
        (COSIGN + "max_age.timestamp = '3d'", "nothing of Notary"),
        (COSIGN + "mode = 'audit'", "nothing vouches"),
        (COSIGN + "mode = 'skip'", "skip verifies nothing"),
        ("require = ['notary']\nmode = 'skip'", "skip verifies nothing"),
    ],
)
def test_refuses_what_could_mean_nothing(tmp_path: Path, text: str, part: str) -> None:
    assert part in refused(tmp_path, text)


def test_a_file_of_keys_that_cannot_be_read_is_an_error_when_it_is_wanted(tmp_path: Path) -> None:
    keys = CosignKeys((tmp_path / "a.pub",), source="the policy")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "huge").write_bytes(b" " * (DEFAULT.named_file_bytes + 1))
    for name in ("none", "fifo", "huge", "."):
        with pytest.raises(ConfigurationError, match="no signature of cosign can be verified by") as caught:
            keys.read(tmp_path / name)
        assert caught.value.why[-1] == "it is named by the policy"
    (tmp_path / "real").write_bytes(b"key")
    (tmp_path / "a.pub").symlink_to("real")
    assert keys.read(tmp_path / "a.pub") == b"key"
