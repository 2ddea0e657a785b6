"""`admission review`: the answer to an AdmissionReview, on the command line."""

from __future__ import annotations

import io
import json
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from notarypy.service import verifier
from support import admissions
from support.admitting import Cluster
from support.people import SERVER, make_world
from support.schema import problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.admissions import Case
    from support.commands import Outcome, Run

FLAGS = {"mutate": ["--mutate"], "validate": [], "strict": ["--require-digest"]}
CASES = [
    case
    for case in admissions.cases()
    if not case.is_pure and (case.unanswered or not FLAGS.keys().isdisjoint(case.modes))
]
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "notarypy.json").read_text())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    base = tmp_path_factory.mktemp("cluster")
    with pytest.MonkeyPatch.context() as patch, closing(Cluster(make_world(base, patch))) as found:
        yield found


@pytest.fixture
def cluster(made: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    world = made.world
    opened = partial(verifier.Verifier, transport=world.fake, now=world.clock)
    monkeypatch.setattr(verifier, "Verifier", opened)
    monkeypatch.setenv("DOCKER_CONTENT_TRUST_SERVER", SERVER)
    return made


def asked(run: Run, cluster: Cluster, case: Case, *flags: str) -> Outcome:
    file = cluster.world.base / "review.json"
    file.write_bytes(case.data(cluster.names))
    return run("admission", "review", *flags, "--policy", cluster.policy, "--deadline", "1s", file)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "case"), [*enumerate(CASES)], ids=[case.name for case in CASES])
def test_the_table(run: Run, cluster: Cluster, number: int, case: Case) -> None:
    if case.unanswered:
        assert "[usage.admission_review]" in asked(run, cluster, case).expect(2).err
        return
    modes = [mode for mode in case.modes if mode in FLAGS]
    mode = modes[number % len(modes)]
    found = asked(run, cluster, case, *FLAGS[mode])
    assert found.out, found.err
    case.check(mode, json.loads(found.out), cluster.names)
    assert (found.code == 0) == ("codes" not in case.raw[mode])
    assert found.err == ""


def pod(image: str) -> Case:
    return admissions.Case("", {"pod": {"containers": [{"name": "app", "image": image}]}, "validate": {}})


def test_the_worst_exit_code_of_all_images_counts(run: Run, cluster: Cluster) -> None:
    containers = [{"image": "$R/app:unsigned"}, {"image": "$R/signers:1"}, {"image": "$R/app:1"}]
    case = admissions.Case("", {"pod": {"containers": containers}})
    assert asked(run, cluster, case).code == 10


def test_the_document_has_the_answer(run: Run, cluster: Cluster) -> None:
    document = asked(run, cluster, pod("$R/app:unsigned"), "--json").expect(3).document
    assert problems(document, SCHEMA) == []
    (result,) = document["results"]
    assert (result["ok"], result["allowed"], result["codes"]) == (True, False, ["trust.tag_unsigned"])
    assert result["review"]["response"]["allowed"] is False


def test_a_review_comes_from_standard_input(
    run: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pod("$R/app:1").data(cluster.names)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + data)))
    assert json.loads(run("admission", "review", "--policy", cluster.policy, "-").expect(0).out)


def test_what_makes_no_sense_is_refused(run: Run, cluster: Cluster) -> None:
    file = cluster.world.base / "review.json"
    file.write_bytes(pod("$R/app:1").data(cluster.names))
    for words in (["--mutate", "--require-digest"], ["--deadline", "soon"], ["--gun"], ["--offline"]):
        assert run("admission", "review", "--policy", cluster.policy, *words, file).expect(2).out == ""
    assert "there is no trust policy" in run("admission", "review", file).expect(2).err
    loose = cluster.world.base / "loose.toml"
    loose.write_text('[scope."*"]\nfirst_use = true\n')
    assert "trusts on first use" in run("admission", "review", "--policy", loose, file).expect(2).err
