"""Compose files and manifests: which images they name, and that nothing else is touched."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from notarypy.cli.text.advice import advice
from notarypy.errors import BuildFileError
from notarypy.images import occurrences
from notarypy.images.workloads import find, yamlnodes
from notarypy.limits import DEFAULT

DIGEST = f"sha256:{'d' * 64}"
POD = "containers: [{image: a:1}], initContainers: [{image: b:1}], ephemeralContainers: [{image: c:1}]"
PULLED = "compose may take mine from a registry instead, unless pull_policy is build"
WITH_TEMPLATE = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job")


def kubernetes(text: str) -> tuple[list[str], tuple[str, ...]]:
    found = find.kubernetes(yamlnodes.documents(text, "k.yaml"))
    assert set(found.unknown) <= set(found.notes)
    return [occurrence.image for occurrence in found.occurrences], found.notes


def compose(text: str, **values: str) -> tuple[list[str], tuple[str, ...]]:
    (root,) = yamlnodes.documents(text, "c.yaml")
    found = find.compose(root, values)
    assert set(found.unknown) <= set(found.notes)
    return [occurrence.image for occurrence in found.occurrences], found.notes


def manifest(kind: str, spec: str) -> str:
    return f"apiVersion: v1\nkind: {kind}\nspec: {spec}\n"


@pytest.mark.parametrize("kind", WITH_TEMPLATE)
def test_workloads_with_a_template(kind: str) -> None:
    found = kubernetes(manifest(kind, f"{{template: {{spec: {{{POD}}}}}}}"))
    assert found == (["a:1", "b:1", "c:1"], ())


def test_pods_cron_jobs_and_templates() -> None:
    assert kubernetes(manifest("Pod", f"{{{POD}}}"))[0] == ["a:1", "b:1", "c:1"]
    job = f"{{jobTemplate: {{spec: {{template: {{spec: {{{POD}}}}}}}}}}}"
    assert kubernetes(manifest("CronJob", job))[0] == ["a:1", "b:1", "c:1"]
    template = f"apiVersion: v1\nkind: PodTemplate\ntemplate: {{spec: {{{POD}}}}}\n"
    assert kubernetes(template)[0] == ["a:1", "b:1", "c:1"]


def test_volumes_lists_and_several_documents() -> None:
    volume = manifest("Pod", "{volumes: [{name: v, image: {reference: data:1}}, {name: w, emptyDir: {}}]}")
    listed = f"apiVersion: v1\nkind: List\nitems:\n- {{kind: Pod, spec: {{{POD}}}}}\n"
    assert kubernetes(f"---\n{volume}---\n# nothing\n---\n{listed}...\n")[0] == [
        "data:1",
        "a:1",
        "b:1",
        "c:1",
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (manifest("Rollout", f"{{template: {{spec: {{{POD}}}}}}}"), 'the kind "Rollout"'),
        (
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages: [{newName: a}]\n",
            'the kind "Kustomization" of kustomize.config.k8s.io',
        ),
        ("apiVersion: a.example/v1\nkind: App\nspec: {baseImage: a:1}\n", 'the kind "App" of a.example'),
        ("apiVersion: serving.knative.dev/v1\nkind: Service\n", 'the kind "Service" of serving.knative.dev'),
        ("a: {image: b}\n", "an object without a kind"),
    ],
)
def test_every_object_of_an_unknown_kind_is_told(text: str, what: str) -> None:
    found, notes = kubernetes(text)
    assert found == []
    assert notes == (f"k.yaml:1: {what} is not known: images that it may have are left alone",)


def test_what_is_known_to_have_no_image_is_not_told() -> None:
    assert kubernetes(manifest("ConfigMap", "{a: b}")) == ([], ())
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n"
    assert kubernetes(role) == ([], ())


def test_a_known_kind_of_another_group_is_read_and_told() -> None:
    text = manifest("Job", f"{{template: {{spec: {{{POD}}}}}}}").replace("v1", "batch.volcano.sh/v1", 1)
    found, notes = kubernetes(text)
    assert found == ["a:1", "b:1", "c:1"]
    assert 'the kind "Job" of batch.volcano.sh is not known' in notes[0]


def test_a_list_tells_the_kind_of_its_items() -> None:
    pods = f"apiVersion: v1\nkind: PodList\nitems: [{{spec: {{{POD}}}}}]\n"
    template = f"{{spec: {{template: {{spec: {{{POD}}}}}}}}}"
    deployments = f"apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- {template}\n"
    for text in (pods, deployments):
        assert kubernetes(text) == (["a:1", "b:1", "c:1"], ())
    other = "apiVersion: a.example/v1\nkind: PodList\nitems: [{}]\n"
    assert 'the kind "Pod" of a.example is not known' in kubernetes(other)[1][0]
    assert "without a kind" in kubernetes("apiVersion: v1\nkind: List\nitems: [{}]\n")[1][0]


def test_models_of_compose_are_told() -> None:
    _, notes = compose("services: {a: {image: 'a:1'}}\nmodels: {llm: {model: ai/small}}\n")
    assert notes == ("c.yaml: models names images of models, which are not looked at",)


def test_a_container_without_an_image_is_no_error_and_an_empty_one_is() -> None:
    found, notes = kubernetes(manifest("Pod", "{containers: [{name: a}], volumes: null}"))
    assert (found, len(notes)) == ([], 1)
    for image in ("''", "null", "[a]", ""):
        with pytest.raises(BuildFileError, match=r"k\.yaml:4: containers names no image"):
            kubernetes(f"apiVersion: v1\nkind: Pod\nspec: {{containers: [{{\n  image: {image}}}]}}\n")


def test_services_of_compose() -> None:
    found, notes = compose(
        "services:\n  a: {image: 'a:1'}\n  b: {build: ., image: mine}\n"
        "  c: {build: {context: c, dockerfile: D}}\n"
        "  d: {build: {dockerfile_inline: FROM x}}\n  e: {extends: {file: x.yaml, service: y}}\n  f:\n"
        "include: [other.yaml]\n"
    )
    assert found == ["a:1"]
    assert notes == (
        "c.yaml: include names other files, which are not looked at",
        f"c.yaml:3: b is built: the images to pin are in ./Dockerfile; {PULLED}",
        "c.yaml:5: d is built: the images to pin are in its own dockerfile_inline, which is not read",
        "c.yaml:6: e extends another file, which is not looked at",
        "c.yaml:4: c is built: the images to pin are in c/D",
        "c.yaml:7: f has no image here; another file may give it one",
    )


@pytest.mark.parametrize("build", ["null", "~", "", "!reset null", "!reset {}", "''"])
def test_what_says_nothing_does_not_build(build: str) -> None:
    found, notes = compose(f"services:\n  a:\n    image: a:1\n    build: {build}\n")
    assert (found, notes) == (["a:1"], ())


def test_a_service_that_is_always_built_takes_no_image() -> None:
    _, notes = compose("services: {a: {build: ., image: mine, pull_policy: build}}\n")
    assert notes == ("c.yaml:1: a is built: the images to pin are in ./Dockerfile",)


def test_images_that_are_contexts_and_volumes() -> None:
    found, _ = compose(
        "services:\n  a:\n    build:\n      context: .\n"
        "      additional_contexts: {x: 'docker-image://x:1', y: ./y}\n"
        "  b:\n    build:\n      additional_contexts: [z=docker-image://z:1]\n"
        "    volumes: [{type: image, source: data:1}, {type: bind, source: ./d}, './e:/e']\n"
    )
    assert found == ["x:1", "z:1", "data:1"]


def test_anchors_and_merged_keys() -> None:
    services = "  a: {<<: *base}\n  b: {image: *i}\n  c: {<<: [*base], image: c:1}\n"
    text = f"x-base: &base {{image: &i a:1}}\nservices:\n{services}"
    assert compose(text)[0] == ["a:1", "c:1"]


@pytest.mark.parametrize(
    ("written", "values", "image"),
    [
        ("a:${T:-1}", {}, "a:1"),
        ("a:${T:-1}", {"T": "2"}, "a:2"),
        ("a:${T:-1}", {"T": ""}, "a:1"),
        ("a:1${T-x}", {"T": ""}, "a:1"),
        ("a:1${T:+-x}${U:+-y}", {"T": "t"}, "a:1-x"),
        ("$N:${T}", {"N": "a", "T": "1"}, "a:1"),
        ("a:${T:?no}", {"T": "1"}, "a:1"),
        ("${I:-reg.example/app}:${T:-$V}", {"V": "15"}, "reg.example/app:15"),
        ("${I:-reg.example/db:${D:-2}}", {}, "reg.example/db:2"),
        ("a:${T:-${U-}${V+x}${W:-${X:-3}}}", {}, "a:3"),
        ("a:${T:+${T}-x}", {"T": "1"}, "a:1-x"),
        ("a:1${T+}", {"T": "1"}, "a:1"),
        ("a:1${T:+$U}", {}, "a:1"),  # a word that does not count needs no values
        ("a:${T:-$U}", {"T": "1"}, "a:1"),
        ("a:${T:-1}${U:?${V}}", {"U": "2"}, "a:12"),
    ],
)
def test_variables_of_compose(written: str, values: dict[str, str], image: str) -> None:
    assert compose(f"services: {{a: {{image: '{written}'}}}}\n", **values)[0] == [image]


@pytest.mark.parametrize(
    "written",
    ["a:$T", "a:${T}", "a:${T:?no}", "a:${T:-${U}}", "a:${", "a:$", "a:${T^^}", "a:${T:-{}}", "a:${T:-$${x}"],
)
def test_variables_that_say_nothing_are_refused(written: str) -> None:
    with pytest.raises(BuildFileError, match=r"c\.yaml:1: "):
        compose(f"services: {{a: {{image: '{written}'}}}}\n")


@pytest.mark.parametrize(
    "image",
    ["|\n    a:1", ">-\n    a:1", '"a\\u003a1"', "'a''b:1'"],
)
def test_what_cannot_be_replaced_in_place_is_refused(image: str) -> None:
    with pytest.raises(BuildFileError, match="cannot be replaced"):
        compose(f"services:\n  a:\n   image: {image}\n")


@pytest.mark.parametrize(
    "text",
    [
        "a: [\n",
        "a: 1\na: 2\n",
        "services: {x: &a {<<: *a}}\n",
        "a: *b\n",
        "\t- a\n",
        "services: {a: {image: a:1, image: b:1}}\n",
        "a: \x00\n",
        "\udc80: 1\n",
        "- " * 2000,
        "services: {a: {!!binary aW1hZ2U=: a:1}}\n",
        "x: &x {build: .}\nservices: {a: {'<<': *x, image: a:1}}\n",
        "x: &x {build: .}\nservices: {a: {!!str <<: *x, image: a:1}}\n",
    ],
)
def test_what_is_no_yaml_is_refused(text: str) -> None:
    def read() -> None:
        for root in yamlnodes.documents(text, "c.yaml"):
            find.compose(root, {})

    with pytest.raises(BuildFileError):
        read()


def test_only_names_change() -> None:
    text = "# c\r\nservices:   \n  a:   # x\n    'image'  :  \"a:1\"   # y\n  b: { image : b:2 }\n\n...\n"
    (root,) = yamlnodes.documents(text, "c.yaml")
    found = find.compose(root, {}).occurrences
    assert occurrences.rewrite(text, {}) == text
    pinned = occurrences.rewrite(text, {each: occurrences.pinned(each.image, DIGEST) for each in found})
    assert pinned == text.replace("a:1", f"a:1@{DIGEST}").replace("b:2", f"b:2@{DIGEST}")


def test_many_merges_cost_little() -> None:
    lines = ["a0: &a0 {k: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 30)]
    assert compose("\n".join([*lines, "services: {a: {image: b:1, <<: *a29}}"]))[0] == ["b:1"]


@pytest.mark.parametrize(
    "lines",
    [
        [
            "a0: &a0 {x0: 1}",
            *(f"a{n}: &a{n} {{<<: *a{n - 1}, x{n}: 1}}" for n in range(1, 3000)),
            "services: {s: *a2999}",
        ],
        [
            f"a: &a {{{', '.join(f'x{n}: 1' for n in range(2000))}}}",
            "services:",
            *(f"  b{n}: {{<<: *a}}" for n in range(200)),
        ],
    ],
)
def test_merges_that_grow_are_refused(lines: list[str]) -> None:
    with pytest.raises(BuildFileError, match="too many merged keys"):
        compose("\n".join([*lines, ""]))


def test_what_aliases_repeat_is_looked_at_once() -> None:
    text = "apiVersion: v1\nkind: List\nitems: &i\n- {kind: Pod, spec: {containers: &c [{image: a:1}]}}\n"
    text += "- {kind: List, items: *i}\n- {kind: List, items: *i}\n- {kind: Pod, spec: {containers: *c}}\n"
    assert kubernetes(text)[0] == ["a:1"]


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(BuildFileError) as caught:
        yamlnodes.documents("a: b", "c.yaml")
    assert "pip install '.[yaml]'" in advice(caught.value)


def test_variables_nest_to_a_limit() -> None:
    deep = "${A:-" * 60 + "1" + "}" * 60
    with pytest.raises(BuildFileError, match="is not understood"):
        compose(f"services: {{a: {{image: 'a:{deep}'}}}}\n")


def test_what_compose_resets_and_overrides() -> None:
    found, notes = compose(
        "services:\n  a: {image: !reset null}\n  b: {image: !reset b:1, build: .}\n  c: !reset null\n"
        "  d: {image: !override d:1}\n  e: {image: e:1, build: !reset null, volumes: !reset []}\n"
    )
    assert found == ["d:1", "e:1"]
    assert notes == (
        "c.yaml:2: a has no image here; another file may give it one",
        "c.yaml:3: b is built: the images to pin are in ./Dockerfile",
        "c.yaml:4: c has no image here; another file may give it one",
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("web: {image: a:1}\n", "no services"),
        ("services:\n", "no services"),
        ("services: {}\n", "no services"),
        ("services: [{image: a:1}]\n", "services is no mapping"),
        ("services: {a: [image, a:1]}\n", "the service a is no mapping"),
        ("services: {a: {image: a:1, volumes: {type: image, source: b:1}}}\n", "volumes is no list"),
        ("- a\n", "a document is no mapping"),
    ],
)
def test_a_compose_file_is_not_read_past(text: str, what: str) -> None:
    with pytest.raises(BuildFileError, match=what):
        compose(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (manifest("Pod", "{containers: {image: a:1}}"), "containers is no list"),
        (manifest("Pod", "{containers: [[a]]}"), "an element of containers is no mapping"),
        (manifest("Pod", "[{containers: [{image: a:1}]}]"), "spec is no mapping"),
        (manifest("Deployment", "{template: x}"), "template is no mapping"),
        ("apiVersion: v1\nkind: List\nitems: {kind: Pod}\n", "items is no list"),
    ],
)
def test_a_manifest_is_not_read_past(text: str, what: str) -> None:
    with pytest.raises(BuildFileError, match=what):
        kubernetes(text)


def test_empty_documents_are_no_objects() -> None:
    text = f"---\n# nothing\n---\n{manifest('Pod', f'{{{POD}}}')}---\n---\nnull\n...\n"
    assert kubernetes(text) == (["a:1", "b:1", "c:1"], ())
    assert yamlnodes.documents("# nothing\n---\n~\n", "k.yaml") == []


@pytest.mark.parametrize(
    "text",
    [
        "services:\n  a:\n    image:\ta:1\t# x\n",
        "services:\t\n  a:\t\n    image: 'a:1'\t\n",
        '{\n\t"services": {\n\t\t"a": {"image": "a:1"}\n\t}\n}\n',
        "\ufeffservices:\n  a:\n    image: a:1\n",
        "# \U0001f600\r\nservices:\r\n  a:\r\n    image: a:1\r\n",
    ],
)
def test_tabs_marks_and_lines_where_the_go_tools_take_them(text: str) -> None:
    (root,) = yamlnodes.documents(text, "c.yaml")
    (found,) = find.compose(root, {}).occurrences
    assert text[found.start : found.end] == "a:1"


def test_the_python_twin_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "services:\n  a: &a {image: 'a:1'}\n  b: *a\n  c: {<<: *a, build: !reset null}\n"
    (root,) = yamlnodes.documents(text, "c.yaml")
    monkeypatch.delattr("yaml.CBaseLoader")
    (again,) = yamlnodes.documents(text, "c.yaml")
    assert find.compose(again, {}) == find.compose(root, {})


def test_parts_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlnodes, "DEFAULT", replace(DEFAULT, yaml_nodes=50))
    assert yamlnodes.documents("[" + "a, " * 40 + "]", "c.yaml")
    with pytest.raises(BuildFileError, match="too many parts"):
        yamlnodes.documents("[" + "a, " * 60 + "]", "c.yaml")
    monkeypatch.undo()
    with pytest.raises(BuildFileError, match="nested too deeply"):
        yamlnodes.documents("[" * 120 + "]" * 120, "c.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: Pod\n",
        manifest("Pod", "null"),
        manifest("Pod", "{}"),
        manifest("Pod", "{containers: []}"),
        manifest("Pod", "{containers: [{name: x}]}"),
        manifest("Deployment", "{template: {}}"),
        manifest("Deployment", "{replicas: 2}"),
        "apiVersion: v1\nkind: List\nitems: []\n",
        "apiVersion: v1\nkind: List\nitems:\n",
        "apiVersion: v1\nkind: PodList\nitems: [{}]\n",
    ],
)
def test_a_workload_without_an_image_is_told(text: str) -> None:
    found, notes = kubernetes(text)
    assert found == []
    assert "another file may give it one" in notes[0]


def test_a_container_without_an_image_beside_one_with_is_told() -> None:
    found, notes = kubernetes(manifest("Pod", "{containers: [{image: a:1}, {name: b}]}"))
    assert found == ["a:1"]
    assert "a container without one" in notes[0]


@pytest.mark.parametrize(
    ("policy", "images", "unknown"),
    [("", [], 1), (", pull_policy: build", [], 0), (", pull_policy: always", ["mine:1"], 0)],
)
def test_whether_a_service_that_is_built_may_be_pulled(policy: str, images: list[str], unknown: int) -> None:
    (root,) = yamlnodes.documents(f"services: {{a: {{build: ., image: 'mine:1'{policy}}}}}\n", "c.yaml")
    found = find.compose(root, {})
    assert ([each.image for each in found.occurrences], len(found.unknown)) == (images, unknown)
    assert len(found.notes) == 1


def test_bases_within_a_compose_file_are_unknown() -> None:
    (root,) = yamlnodes.documents("services: {a: {build: {dockerfile_inline: FROM x}}}\n", "c.yaml")
    assert len(find.compose(root, {}).unknown) == 1


def test_an_image_in_base64_is_refused() -> None:
    with pytest.raises(BuildFileError, match="base64"):
        compose("services: {a: {image: !!binary YTox}}\n")
