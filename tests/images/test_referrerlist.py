"""Lists of what refers to an image: read whatever is in them, and changed without a loss."""

from __future__ import annotations

import json

import pytest

from notarypy.errors import MetadataError
from notarypy.images import layout, manifests, referrerlist
from notarypy.limits import Limits

SUBJECT = layout.of(b"the image", manifests.OCI_MANIFEST)
KIND = "application/vnd.example.signature"


def manifest(number: int = 0, **members: object) -> bytes:
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:" + "4" * 64, "size": 2}
    value = {"schemaVersion": 2, "mediaType": manifests.OCI_MANIFEST, "config": config, "layers": []}
    noted = {"artifactType": KIND, "subject": SUBJECT.to_json(), "annotations": {"number": str(number)}}
    return json.dumps({**value, **noted, **members}).encode()


def entry(number: int = 0) -> layout.Descriptor:
    return referrerlist.entry_of(manifest(number), manifests.OCI_MANIFEST)


def index(*entries: object, **members: object) -> bytes:
    value = {"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": list(entries)}
    return json.dumps({**value, **members}).encode()


def test_the_tag_of_a_digest() -> None:
    assert referrerlist.tag_of("sha256:" + "a" * 64) == "sha256-" + "a" * 64
    assert referrerlist.tag_of("sha512:" + "b" * 128) == "sha512-" + "b" * 64


def test_an_entry_says_what_its_manifest_says() -> None:
    made = entry(7)
    assert (made.digest, made.size) == (manifests.digest_of(manifest(7)), len(manifest(7)))
    assert (made.artifact_type, made.annotations) == (KIND, {"number": "7"})
    (read,) = referrerlist.read_list(index(referrerlist.entry_json(made))).entries
    assert (read, read.artifact_type, read.annotations) == (made, KIND, {"number": "7"})


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"artifactType": None}, "application/vnd.oci.empty.v1+json"),
        ({"artifactType": 5, "config": None}, ""),
        ({"artifactType": "", "config": {}}, ""),
    ],
)
def test_without_artifact_type_the_configuration_says_what_it_is(
    members: dict[str, object], kind: str
) -> None:
    made = referrerlist.entry_of(manifest(0, **{**members, "annotations": [1]}), manifests.OCI_MANIFEST)
    assert (made.artifact_type, made.annotations) == (kind, {})
    assert "annotations" not in referrerlist.entry_json(made)


def test_subjects() -> None:
    assert referrerlist.subject_of(manifest()) == SUBJECT
    assert referrerlist.subject_of(manifest(subject=None)) is None
    assert referrerlist.subject_of(b"{}") is None
    for wrong in ("text", {"digest": SUBJECT.digest}, {**SUBJECT.to_json(), "digest": "sha256:abc"}):
        with pytest.raises(MetadataError):
            referrerlist.subject_of(manifest(subject=wrong))


def test_rubbish_in_a_list_is_passed_over() -> None:
    good = referrerlist.entry_json(entry())
    hostile: list[object] = [
        None,
        5,
        "text",
        [],
        {},
        {**good, "digest": "sha256:../../x"},
        {**good, "size": -1},
        {**good, "size": True},
        {**good, "annotations": {"a": 5}},
        {**good, "platform": "linux"},
        {**good, "data": "no base64"},
        {**good, "data": "b3RoZXI="},
        {**good, "urls": "no list"},
    ]
    found = referrerlist.read_list(index(*hostile, good, *hostile))
    assert (found.entries, found.others, found.more) == ((entry(),), 26, False)
    assert found.has(entry().digest)
    assert not found.has(SUBJECT.digest)


def test_an_artifact_type_that_is_no_text_is_none() -> None:
    listed = index({**referrerlist.entry_json(entry()), "artifactType": 5})
    assert referrerlist.read_list(listed).entries[0].artifact_type == ""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"<html>",
        b'{"schemaVersion":1,"manifests":[]}',
        b'{"schemaVersion":2}',
        b'{"schemaVersion":2,"manifests":{}}',
        b'{"schemaVersion":2,"manifests":[],"manifests":[]}',
        index(mediaType=manifests.DOCKER_LIST),
        manifest(),
        b"[" * 5000,
    ],
)
def test_what_is_no_list_is_none_and_stays(data: bytes) -> None:
    with pytest.raises(MetadataError):
        referrerlist.read_list(data)
    with pytest.raises(MetadataError):
        referrerlist.with_entry(data, SUBJECT.digest, entry())


def test_a_list_that_is_null_is_empty() -> None:
    assert referrerlist.read_list(b'{"schemaVersion":2,"manifests":null}') == referrerlist.ReferrerList()


def test_only_so_many_entries_are_read() -> None:
    listed = index(*(referrerlist.entry_json(entry(number)) for number in range(5)), None)
    found = referrerlist.read_list(listed, Limits(referrers=3))
    assert (len(found.entries), found.more) == (3, True)
    assert referrerlist.read_list(listed, Limits(referrers=6)).more is False
    again = referrerlist.read_list(listed, Limits(referrers=6), before=4)
    assert (len(again.entries), again.more) == (2, True)
    assert referrerlist.read_list(listed, Limits(referrers=6), before=9).entries == ()
    with pytest.raises(MetadataError, match="not an image"):
        referrerlist.read_list(listed, Limits(manifest_bytes=10))


def test_pages_add_up() -> None:
    one = referrerlist.ReferrerList((entry(1),), others=2)
    two = referrerlist.ReferrerList((entry(2),), more=True, others=1)
    assert one + two == referrerlist.ReferrerList((entry(1), entry(2)), more=True, others=3)


def test_a_list_is_begun() -> None:
    made = referrerlist.with_entry(None, SUBJECT.digest, entry())
    assert json.loads(made) == json.loads(index(referrerlist.entry_json(entry())))
    assert manifests.served(made, None).is_index


def test_entries_of_others_stay_to_the_last_member() -> None:
    foreign: list[object] = [
        {"mediaType": "x", "digest": "sha256:" + "9" * 64, "size": 9, "strange": {"é": [1, None]}},
        None,
        "rubbish",
        {"digest": 5},
    ]
    there = index(*foreign, annotations={"kept": "yes"}, subject=SUBJECT.to_json(), more=1.5)
    made = json.loads(referrerlist.with_entry(there, SUBJECT.digest, entry()))
    assert made == {
        **json.loads(there), "manifests": [*foreign, referrerlist.entry_json(entry())]
    }  # fmt: skip


def test_what_cannot_be_written_again_stays() -> None:
    there = b'{"schemaVersion":2,"manifests":["\\ud800"],"x":"\\udfff\\u00e9"}'
    made = json.loads(referrerlist.with_entry(there, SUBJECT.digest, entry()))
    assert (made["manifests"][0], made["x"]) == ("\ud800", "\udfff\u00e9")
    with pytest.raises(MetadataError):
        referrerlist.with_entry(b'{"schemaVersion":2,"manifests":[1e999]}', SUBJECT.digest, entry())


def test_what_is_listed_already_is_left_alone() -> None:
    there = json.dumps(json.loads(referrerlist.with_entry(None, SUBJECT.digest, entry())), indent=2).encode()
    assert referrerlist.with_entry(there, SUBJECT.digest, entry()) is there


def test_an_entry_of_ours_that_says_another_type_gives_way() -> None:
    wrong = {**referrerlist.entry_json(entry()), "artifactType": "application/vnd.oci.empty.v1+json"}
    other = referrerlist.entry_json(entry(1))
    made = referrerlist.with_entry(index(wrong, other, wrong), SUBJECT.digest, entry())
    assert json.loads(made)["manifests"] == [other, referrerlist.entry_json(entry())]


def test_the_subject_at_its_own_tag_is_an_empty_list() -> None:
    image = index(referrerlist.entry_json(entry(1)))
    subject = manifests.digest_of(image)
    assert referrerlist.at_tag(image, subject) == referrerlist.ReferrerList()
    assert referrerlist.at_tag(image, SUBJECT.digest).has(entry(1).digest)
    made = json.loads(referrerlist.with_entry(image, subject, entry()))
    assert made["manifests"] == [referrerlist.entry_json(entry())]


def test_a_list_may_not_become_too_long() -> None:
    there = referrerlist.with_entry(None, SUBJECT.digest, entry(1))
    with pytest.raises(MetadataError, match="too long"):
        referrerlist.with_entry(there, SUBJECT.digest, entry(), Limits(manifest_bytes=len(there) + 50))
