from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notarypy.cli.text.advice import advice
from notarypy.errors import InvalidNameError
from notarypy.images import reference
from notarypy.limits import DEFAULT
from notarypy.tuf.roles import check_gun
from support.counting import TOO_MUCH, growth

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "registry", "path", "tag", "digest"),
    [
        ("alpine", "docker.io", "library/alpine", None, None),
        ("alpine:3", "docker.io", "library/alpine", "3", None),
        (f"alpine@{DIGEST}", "docker.io", "library/alpine", None, DIGEST),
        (f"alpine:3@{DIGEST}", "docker.io", "library/alpine", "3", DIGEST),
        ("me/app", "docker.io", "me/app", None, None),
        ("a/b/c", "docker.io", "a/b/c", None, None),
        ("docker.io/alpine", "docker.io", "library/alpine", None, None),
        ("docker.io/library/alpine", "docker.io", "library/alpine", None, None),
        ("index.docker.io/alpine", "docker.io", "library/alpine", None, None),
        ("index.docker.io/me/app:1", "docker.io", "me/app", "1", None),
        ("registry-1.docker.io/me/app", "registry-1.docker.io", "me/app", None, None),
        ("localhost/app", "localhost", "app", None, None),
        ("localhost", "docker.io", "library/localhost", None, None),
        ("localhost:5000", "docker.io", "library/localhost", "5000", None),
        ("localhost:5000/app", "localhost:5000", "app", None, None),
        ("127.0.0.1:5000/x/y:1", "127.0.0.1:5000", "x/y", "1", None),
        ("harbor.corp/a/b:v1.0-rc_1", "harbor.corp", "a/b", "v1.0-rc_1", None),
        ("registry:443/app", "registry:443", "app", None, None),
        ("Foo/bar", "Foo", "bar", None, None),
        ("[::1]/app", "[::1]", "app", None, None),
        ("[::1]:5000/app:1", "[::1]:5000", "app", "1", None),
        ("[2001:db8::1]:443/a/b", "[2001:db8::1]:443", "a/b", None, None),
        ("a__b/c.d/e---f", "docker.io", "a__b/c.d/e---f", None, None),
        ("x:_tag", "docker.io", "library/x", "_tag", None),
        ("x:" + "t" * 128, "docker.io", "library/x", "t" * 128, None),
        (f"{HEX}:1", "docker.io", f"library/{HEX}", "1", None),
        (f"x/{HEX}", "docker.io", f"x/{HEX}", None, None),
    ],
)
def test_parses_as_docker_does(
    text: str, registry: str, path: str, tag: str | None, digest: str | None
) -> None:
    found = reference.parse(text)
    assert found == reference.Reference(registry, path, tag, digest)
    assert found.repository == f"{registry}/{path}"
    assert reference.parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (HEX, "id of a local image"),
        (DIGEST, "id of a local image"),
        (DIGEST[:20], "id of a local image"),
        ("Alpine", "upper-case"),
        ("me/App", "upper-case"),
        ("docker.io/Foo", "upper-case"),
        ("a//b", "empty"),
        ("/a", "empty"),
        ("a/", "empty"),
        ("docker.io/", "empty"),
        ("localhost:5000/", "empty"),
        (":1", "empty"),
        ("@" + DIGEST, "empty"),
        ("foo..bar", "separator"),
        ("foo___bar", "separator"),
        ("foo._bar", "separator"),
        ("-foo", "begins or ends"),
        ("foo-", "begins or ends"),
        ("a/.b", "begins or ends"),
        ("a/..", "begins or ends"),
        ("a/../../b", "begins or ends"),
        ("a b", "characters other"),
        (" alpine", "characters other"),
        ("alpine\n", "characters other"),
        ("al\x1bpine", "characters other"),
        ("ålpine", "characters other"),
        ("a\\b", "characters other"),
        ("alpine:", "tag"),
        ("alpine:-x", "tag"),
        ("alpine:.x", "tag"),
        ("alpine:a:b", "tag"),
        ("alpine:1\n", "tag"),
        ("alpine:٣", "tag"),
        ("alpine:" + "t" * 129, "tag"),
        ("alpine@", "digest"),
        ("alpine@sha256:abc", "digest"),
        ("alpine@sha256:" + HEX.upper(), "digest"),
        ("alpine@sha512:" + HEX * 2, "digest"),
        (f"alpine@{DIGEST}@{DIGEST}", "digest"),
        (f"alpine@{DIGEST}:1", "digest"),
        ("https://harbor.corp/a", "names of images have none"),
        ("user@host.io/a", "host name"),
        ("foo:bar/baz", "is not a port"),
        ("reg.io:/a", "is not a port"),
        ("reg.io:99999/a", "is not a port"),
        ("reg.io:443443443443/a", "is not a port"),
        ("reg.io:4٣/a", "is not a port"),
        ("-reg.io/a", "host name"),
        ("reg..io/a", "host name"),
        ("reg-.io/a", "host name"),
        ("reg_x.io/a", "host name"),
        ("./a", "host name"),
        ("../a", "host name"),
        ("[::1/a", "host name"),
        ("[::1]5000/a", "is not a port"),
        ("[fe80::1%eth0]:5000/a", "host name"),
        ("[:::]/a", "host name"),
        ("[127.0.0.1]/a", "host name"),
        ("::1/a", "host name"),
    ],
)
def test_refuses_and_says_why(text: str, why: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        reference.parse(text)
    assert why in caught.value.why[0]
    assert caught.value.facts["reference"] == text


def test_registry_and_path_have_at_most_255_characters() -> None:
    longest = "x.io/" + "a" * 250
    assert reference.parse(f"{longest}:{'t' * 128}@{DIGEST}").repository == longest
    with pytest.raises(InvalidNameError, match="not an image reference"):
        reference.parse(longest + "a")
    with pytest.raises(InvalidNameError):
        reference.parse("a" * (255 - len("docker.io/library/") + 1))


@pytest.mark.parametrize("text", ["a" * 5_000_000, "a-" * 2_000_000])
def test_a_huge_text_is_refused_for_its_length_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        reference.parse(text)
    assert caught.value.why == (f"it has more than {DEFAULT.reference_chars} characters",)
    assert len(caught.value.message) < 1200


@pytest.mark.parametrize("piece", ["a", "a-", "a_", "a__", "-", "a.", "A", "A-"])
@pytest.mark.parametrize("end", ["", "/x", "_"])
def test_a_long_text_is_read_in_linear_time(piece: str, end: str) -> None:
    size = (DEFAULT.reference_chars - len(end)) // len(piece) // 4
    assert growth(reference.parse, lambda count: piece * count + end, size) < TOO_MUCH


@given(st.text(alphabet="abA01.:/@-_[]é\n", max_size=40))
def test_whatever_is_accepted_reads_back_and_is_a_safe_gun(text: str) -> None:
    try:
        found = reference.parse(text)
    except InvalidNameError:
        return
    assert reference.parse(str(found)) == found
    assert check_gun(found.repository) == found.repository
    assert reference.parse_registry(found.registry) == found.registry


def test_a_repository_has_neither_tag_nor_digest() -> None:
    assert reference.parse_repository("alpine").repository == "docker.io/library/alpine"
    for text in ("alpine:3", f"alpine@{DIGEST}", "localhost:5000"):
        with pytest.raises(InvalidNameError, match="names one image") as caught:
            reference.parse_repository(text)
        assert advice(caught.value).startswith("write docker.io/library/")


def test_docker_hub_is_asked_at_another_host() -> None:
    assert reference.parse("alpine").api_host == "registry-1.docker.io"
    assert reference.parse("localhost:5000/a").api_host == "localhost:5000"


def test_tag_and_digest_can_be_replaced() -> None:
    found = reference.parse("me/app:1")
    assert str(found.with_digest(DIGEST)) == f"docker.io/me/app:1@{DIGEST}"
    assert str(found.with_tag("2")) == "docker.io/me/app:2"
    assert str(found.with_tag(None).with_digest(DIGEST).with_digest(None)) == "docker.io/me/app"
    with pytest.raises(InvalidNameError, match="not a digest"):
        found.with_digest("sha256:1")
    with pytest.raises(InvalidNameError, match="not a tag"):
        found.with_tag("")


@pytest.mark.parametrize(
    ("text", "registry"),
    [
        ("index.docker.io", "docker.io"),
        ("harbor.corp", "harbor.corp"),
        ("reg", "reg"),
        ("localhost:5000", "localhost:5000"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_parses_registries(text: str, registry: str) -> None:
    assert reference.parse_registry(text) == registry


@pytest.mark.parametrize("text", ["", "a/b", "https://a", "a:", "a:b", "[::1", "a b", "*", "a@b", "a" * 300])
def test_refuses_what_is_not_a_registry(text: str) -> None:
    with pytest.raises(InvalidNameError, match="is not a registry"):
        reference.parse_registry(text)


@pytest.mark.parametrize(
    ("written", "better"),
    [
        ("https://harbor.corp/a:1", "harbor.corp/a:1"),
        ("docker://alpine", "alpine"),
        ("harbor.corp/Team/App:V1", "harbor.corp/team/app:V1"),
        ("Alpine", "alpine"),
        ("harbor.corp/a b", None),
    ],
)
def test_what_was_meant_is_named_where_it_is_clear(written: str, better: str | None) -> None:
    with pytest.raises(InvalidNameError) as caught:
        reference.parse(written)
    advice = caught.value.advice
    assert (advice and advice.values["text"]) == better
