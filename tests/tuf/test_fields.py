"""The parts that metadata files share: dates, hashes, versions, key tables."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from notarypy.errors import MetadataError, VerificationError
from notarypy.tuf import fields
from notarypy.tuf.canonical import WrittenAsFloat, encode
from notarypy.tuf.envelope import key_problem, verify
from notarypy.tuf.fields import (
    MetaFile,
    TargetFile,
    TargetFiles,
    UnusableEntry,
    format_time,
    header,
    key_table,
    parse_time,
    role_keys,
)
from notarypy.tuf.keys import UnusableKey
from support.author import public_key
from support.counting import work

DATA = b"manifest"
SHA256 = hashlib.sha256(DATA).digest()
SHA512 = hashlib.sha512(DATA).digest()
DOCKERS_EMPTY_KEY = hashlib.sha256(b'{"keytype":"","keyval":{"private":null,"public":null}}').hexdigest()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2036-11-20T06:28:53Z", datetime(2036, 11, 20, 6, 28, 53, 0, UTC)),
        ("2036-11-20T06:28:53.474732639Z", datetime(2036, 11, 20, 6, 28, 53, 474732, UTC)),
        ("2036-11-20T06:28:53.5Z", datetime(2036, 11, 20, 6, 28, 53, 500000, UTC)),
        ("2036-11-20T06:28:53.000000001Z", datetime(2036, 11, 20, 6, 28, 53, 0, UTC)),
        ("2036-11-20T06:28:53.1234567891234Z", datetime(2036, 11, 20, 6, 28, 53, 123456, UTC)),
        ("2036-11-20T01:50:05.805877619-05:00", datetime(2036, 11, 20, 6, 50, 5, 805877, UTC)),
        ("2036-11-20T23:50:05+23:59", datetime(2036, 11, 19, 23, 51, 5, 0, UTC)),
        ("2036-02-29T00:00:00+00:00", datetime(2036, 2, 29, 0, 0, 0, 0, UTC)),
        ("2036-02-29T00:00:00-00:00", datetime(2036, 2, 29, 0, 0, 0, 0, UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, 0, UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, 0, 0, 0, 0, UTC)),
    ],
)
def test_dates_of_rfc_3339_are_read_as_instants(text: str, expected: datetime) -> None:
    moment = parse_time(text, "root")
    assert moment == expected
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        None, 0, 2036, [], {}, True, "",
        "2036-11-20", "2036-11-20T06:28:53", "2036-11-20 06:28:53Z", "2036-11-20t06:28:53Z",
        "2036-11-20T06:28:53z", "2036-11-20T06:28:53.Z", "2036-11-20T06:28Z", "2036-1-20T06:28:53Z",
        " 2036-11-20T06:28:53Z", "2036-11-20T06:28:53Z\n", "2036-11-20T06:28:53Z ", "20361120T062853Z",
        "2036-11-20T06:28:60Z", "2036-11-20T24:00:00Z", "2036-11-20T06:60:00Z", "2036-13-20T06:28:53Z",
        "2036-02-30T06:28:53Z", "2035-02-29T06:28:53Z", "0000-01-01T00:00:00Z", "+2036-11-20T06:28:53Z",
        "2036-11-20T06:28:53+99:99", "2036-11-20T06:28:53+24:00", "2036-11-20T06:28:53+00:60",
        "2036-11-20T06:28:53+22:99", "2036-11-20T06:28:53+0500", "2036-11-20T06:28:53+05",
        "2036-11-20T06:28:53,5Z", "2036-11-20T06:28:53ZZ", "9999-12-31T23:59:59-00:01",
        "0001-01-01T00:00:00+00:01", "\u0662\u0660\u0663\u0666-11-20T06:28:53Z",
    ],
)  # fmt: skip
def test_other_dates_are_refused(text: object) -> None:
    with pytest.raises(MetadataError, match="no usable expiry date") as caught:
        parse_time(text, "targets/jeff")
    assert caught.value.facts["role"] == "targets/jeff"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2036, 11, 20, 6, 28, 53, 0, UTC), "2036-11-20T06:28:53Z"),
        (datetime(2036, 11, 20, 6, 28, 50, 0, UTC), "2036-11-20T06:28:50Z"),
        (datetime(2036, 11, 20, 0, 0, 0, 0, UTC), "2036-11-20T00:00:00Z"),
        (datetime(2036, 11, 20, 6, 28, 53, 500000, UTC), "2036-11-20T06:28:53.5Z"),
        (datetime(2036, 11, 20, 6, 28, 53, 10, UTC), "2036-11-20T06:28:53.00001Z"),
        (datetime(2036, 11, 20, 6, 28, 53, 0, timezone(timedelta(hours=-5))), "2036-11-20T11:28:53Z"),
        (datetime(1, 1, 1, 0, 0, 0, 0, UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_dates_are_written_as_go_writes_them(moment: datetime, expected: str) -> None:
    assert format_time(moment) == expected


def test_the_time_zone_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2036, 11, 20, 6, 28, 53, 0, UTC)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert format_time(moment) == "2036-11-20T06:28:53Z"
        assert parse_time("2036-11-20T06:28:53Z", "root") == moment
    time.tzset()


def test_the_digest_is_the_sha256_if_there_is_one() -> None:
    assert TargetFile.of(b"one").digest == "sha256:" + hashlib.sha256(b"one").hexdigest()
    assert TargetFile(3, {}).digest is None
    with pytest.raises(VerificationError) as caught:
        _ = TargetFile(3, {}).sha256
    assert caught.value.why == ("it names: no hash",)
    with pytest.raises(VerificationError) as caught:
        _ = TargetFile(3, {"sha512": b"", "md5": b""}).sha256
    assert caught.value.why == ("it names: md5, sha512",)


def test_an_error_names_the_role_whose_file_is_read() -> None:
    with pytest.raises(MetadataError) as caught, fields.part_of("targets/jeff"):
        TargetFile.from_json(1, "a target")
    assert caught.value.facts["role"] == "targets/jeff"
    assert "a target" in caught.value.message
    with pytest.raises(MetadataError) as caught, fields.part_of("root"):
        header({"_type": "Root", "version": 1, "expires": "never"}, "Root", "snapshot")
    assert caught.value.facts["role"] == "snapshot"
    assert "snapshot" in caught.value.message


def test_a_file_is_described_by_length_and_both_hashes() -> None:
    meta = TargetFile.of(DATA)
    assert meta == TargetFile(8, {"sha256": SHA256, "sha512": SHA512})
    assert meta.sha256 == hashlib.sha256(DATA).hexdigest()
    meta.check(DATA, "x")
    assert meta.matches(DATA)


@pytest.mark.parametrize(
    ("meta", "says"),
    [
        (TargetFile(7, {"sha256": SHA256}), "wrong length"),
        (TargetFile(9, {"sha256": SHA256}), "wrong length"),
        (TargetFile(0, {"sha256": SHA256}), "wrong length"),
        (TargetFile(8, {"sha256": SHA512[:32]}), "promised sha256"),
        (TargetFile(8, {"sha256": SHA256, "sha512": SHA256 * 2}), "promised sha512"),
        (TargetFile(8, {"sha256": SHA512[:32], "sha512": SHA512}), "promised sha256"),
        (TargetFile(8, {"sha512": SHA256 * 2}), "promised sha512"),
        (TargetFile(8, {}), "cannot be checked"),
        (TargetFile(8, {"md5": hashlib.md5(DATA).digest()}), "cannot be checked"),
    ],
)
def test_length_and_every_known_hash_must_fit(meta: TargetFile, says: str) -> None:
    with pytest.raises(VerificationError, match=says) as caught:
        meta.check(DATA, "snapshot")
    assert caught.value.facts["role"] == "snapshot"
    assert not meta.matches(DATA)


@pytest.mark.parametrize(
    "hashes", [{"sha256": SHA256}, {"sha512": SHA512}, {"sha256": SHA256, "md5": b"whatever"}]
)
def test_one_known_hash_is_enough_and_unknown_ones_do_not_matter(hashes: dict[str, bytes]) -> None:
    TargetFile(8, hashes).check(DATA, "x")


def entry(**members: object) -> dict[str, Any]:
    from base64 import b64encode

    value = {"length": 8, "hashes": {"sha256": b64encode(SHA256).decode()}, **members}
    return {name: member for name, member in value.items() if member is not ...}


@pytest.mark.parametrize("length", [None, ..., -1, True, False, "8", [8], 8.5, WrittenAsFloat(8)])
def test_a_length_is_an_integer_of_0_or_more(length: object) -> None:
    with pytest.raises(MetadataError, match="no usable length"):
        MetaFile.from_json(entry(length=length), "snapshot in timestamp")
    with pytest.raises(MetadataError, match="no usable length"):
        TargetFile.from_json(entry(length=length), "a target")


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_an_entry_is_an_object(value: object) -> None:
    with pytest.raises(MetadataError):
        TargetFile.from_json(value, "a target of targets")


@pytest.mark.parametrize(
    "hashes",
    [
        ..., None, {}, [], "x",
        {"sha512": "QQ=="}, {"sha256": None}, {"sha256": ""}, {"sha256": "QQ=="},
        {"sha256": "A" * 44 + "===="},
        {"sha256": hashlib.sha256(DATA).hexdigest()}, {"SHA256": "A" * 43 + "="},
        {"sha256": "A" * 43 + "=", "sha512": "QQ=="}, {"sha256": "A" * 43 + "=", "md5": None},
    ],
)  # fmt: skip
def test_an_entry_of_snapshot_or_timestamp_has_a_sha256_of_32_bytes(hashes: object) -> None:
    with pytest.raises(MetadataError):
        MetaFile.from_json(entry(hashes=hashes), "root in snapshot")


@pytest.mark.parametrize("hashes", [..., None, {}, {"md5": "QQ=="}])
def test_go_signs_targets_without_sha256_and_they_spoil_nothing_else(hashes: object) -> None:
    meta = TargetFile.from_json(entry(hashes=hashes), "a target of targets")
    assert not meta.same_content(meta)
    assert not TargetFile(8, {"sha256": SHA256}).same_content(meta)
    assert not meta.matches(DATA)
    with pytest.raises(VerificationError, match="names no sha256"):
        _ = meta.sha256


@pytest.mark.parametrize("hashes", [{"sha256": "QQ=="}, {"sha512": "QQ=="}, {"sha256": None}, []])
def test_a_targets_hash_of_the_wrong_size_is_refused(hashes: object) -> None:
    with pytest.raises(MetadataError):
        TargetFile.from_json(entry(hashes=hashes), "a target of targets")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (TargetFile(8, {"sha256": SHA256}), True),
        (TargetFile(8, {"sha256": SHA256, "sha512": SHA512}, {"a": 1}), True),
        (TargetFile(9, {"sha256": SHA256}), False),
        (TargetFile(8, {"sha256": SHA512[:32]}), False),
        (None, False),
    ],
)
def test_same_content_is_length_and_sha256(other: TargetFile | None, same: bool) -> None:
    assert TargetFile(8, {"sha256": SHA256}).same_content(other) is same


@pytest.mark.parametrize("custom", [{"a": [1, None]}, [], 0, False, "", "x"])
def test_custom_data_is_any_json_value(custom: object) -> None:
    meta = TargetFile.from_json(entry(custom=custom), "x")
    assert meta.custom == custom
    assert meta.to_json() == entry(custom=custom)


def test_custom_null_is_absent() -> None:
    assert TargetFile.from_json(entry(custom=None), "x").to_json() == entry()


@pytest.mark.parametrize("kind", ["root", "Roots", "Targets", "", None, 1, ["Root"], {"Root": "Root"}, ...])
def test_the_type_is_exact(kind: object) -> None:
    signed = {"_type": kind, "version": 1, "expires": "2036-11-20T06:28:53Z"}
    if kind is ...:
        del signed["_type"]
    with pytest.raises(MetadataError, match="not of type Root"):
        header(signed, "Root", "root")


@pytest.mark.parametrize("version", [None, 0, -1, True, "1", [1], 2**31, 2**53 - 1, 1.5, WrittenAsFloat(5)])
def test_a_version_is_an_integer_from_1_to_the_limit(version: object) -> None:
    with pytest.raises(MetadataError, match="no usable version") as caught:
        header({"_type": "Root", "version": version, "expires": "2036-11-20T06:28:53Z"}, "Root", "root")
    assert caught.value.facts["role"] == "root"


@pytest.mark.parametrize("version", [1, 2, 2**30, 2**31 - 1])
def test_versions_up_to_the_limit_are_read(version: int) -> None:
    signed = {"_type": "Root", "version": version, "expires": "2036-11-20T06:28:53Z"}
    assert header(signed, "Root", "root") == (version, datetime(2036, 11, 20, 6, 28, 53, 0, UTC))


def test_a_key_is_listed_under_its_own_id_only() -> None:
    key, other = public_key("a"), public_key("b")
    assert key_table({key.keyid: key.to_json()}, "root") == {key.keyid: key}
    for wrong in (other.keyid, key.keyid.upper(), "", key.keyid[:-1]):
        (found,) = key_table({wrong: key.to_json()}, "root").values()
        assert isinstance(found, UnusableKey)
        assert found.keyid == wrong
        assert found.canonical_id not in {wrong, key.canonical_id}
        assert found.to_json() == key.to_json()


@pytest.mark.parametrize("table", [[], "x", 1])
def test_a_key_table_is_an_object_of_keys(table: object) -> None:
    with pytest.raises(MetadataError):
        key_table(table, "root")


@pytest.mark.parametrize("table", [None, {}])
def test_a_key_table_may_be_empty(table: object) -> None:
    assert key_table(table, "root") == {}


@pytest.mark.parametrize("threshold", [None, ..., 0, -1, True, "1", 1.5, [1], WrittenAsFloat(1)])
def test_a_threshold_is_an_integer_of_1_or_more(threshold: object) -> None:
    value: dict[str, object] = {"keyids": [], "threshold": threshold}
    if threshold is ...:
        del value["threshold"]
    with pytest.raises(MetadataError, match="no usable threshold"):
        role_keys(value, {}, "targets")


@pytest.mark.parametrize("keyids", ["abc", {"a": 1}, [1], [None], [["a"]], 1])
def test_key_ids_are_a_list_of_strings(keyids: object) -> None:
    with pytest.raises(MetadataError):
        role_keys({"keyids": keyids, "threshold": 1}, {"a": public_key("a")}, "targets")


def test_a_role_lists_only_keys_of_the_table() -> None:
    key = public_key("a")
    assert role_keys({"keyids": [key.keyid], "threshold": 2}, {key.keyid: key}, "targets").threshold == 2
    with pytest.raises(MetadataError, match="not in the key table"):
        role_keys({"keyids": [key.keyid, "b"], "threshold": 1}, {key.keyid: key}, "targets")


def test_go_lists_a_key_twice_when_it_was_added_twice() -> None:
    key = public_key("a")
    twice = [key.keyid, key.keyid]
    assert role_keys({"keyids": twice, "threshold": 1}, {key.keyid: key}, "x").keyids == tuple(twice)


@pytest.mark.parametrize(
    "entry",
    [
        None, {}, [], 7, "x", {"keytype": "ecdsa"}, {"keytype": 1, "keyval": {"public": "QQ=="}},
        {"keytype": "", "keyval": {"private": None, "public": None}},
        {"keytype": "ecdsa", "keyval": {"private": None, "public": "no base64"}},
        {"keytype": "new", "keyval": {"private": None, "public": "QQ==" * 40_000}},
    ],
)  # fmt: skip
def test_an_entry_that_is_no_key_counts_as_absent_and_is_kept(entry: object) -> None:
    own = hashlib.sha256(encode(entry)).hexdigest()
    key = public_key("a")
    table = key_table({own: entry, "other": entry, key.keyid: key.to_json()}, "targets")
    assert table[key.keyid] == key
    for listed in (own, "other"):
        found = table[listed]
        assert isinstance(found, UnusableKey)
        assert (found.keyid, json.loads(found.entry), bool(key_problem(found))) == (listed, entry, True)
        written = found.to_json()
        assert written.keys() == {"keytype", "keyval"}
        assert written["keyval"].keys() == {"private", "public"}
        assert key_table({listed: written}, "targets")[listed].to_json() == written
        assert not verify(found, "ecdsa", b"", b"")
    assert table[own].canonical_id == own != table["other"].canonical_id


@pytest.mark.parametrize(
    ("entry", "keytype", "public"),
    [
        (None, "", None),
        ("x", "", None),
        ({"keytype": "ecdsa", "keyval": None}, "ecdsa", None),
        ({"keytype": None, "keyval": {"public": "QQ=="}}, "", "QQ=="),
        ({"keytype": "new", "keyval": {"public": "QQ==", "more": 1}, "more": 1}, "new", "QQ=="),
        ({"keytype": "new", "keyval": {"public": "QR=="}}, "new", "QQ=="),
        ({"keytype": "new", "keyval": {"public": ""}}, "new", ""),
    ],
)
def test_an_entry_is_written_as_a_server_rewrites_it(entry: object, keytype: str, public: str | None) -> None:
    (found,) = key_table({"other": entry}, "targets").values()
    assert found.to_json() == {"keytype": keytype, "keyval": {"private": None, "public": public}}


def test_what_docker_publishes_for_an_ed25519_certificate_goes_by_the_id_that_go_gives_it() -> None:
    entry = {"keytype": "", "keyval": {"private": None, "public": None}}
    (found,) = key_table({DOCKERS_EMPTY_KEY: entry}, "targets").values()
    assert found.canonical_id == DOCKERS_EMPTY_KEY


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_a_role_is_an_object(value: object) -> None:
    with pytest.raises(MetadataError, match="no keys assigned"):
        role_keys(value, {}, "targets")


# -- what a file lists

ABC = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
LISTED = {
    "plain": {"hashes": {"sha256": ABC}, "length": 3},
    "custom": {"custom": {"by": "ci"}, "hashes": {"sha256": ABC}, "length": 3},
    "more": {"hashes": {"sha256": ABC}, "length": 3, "more": 1},
    "no hashes": {"hashes": None, "length": 3},
    "loose bits": {"hashes": {"sha256": ABC.replace("a0=", "a1=")}, "length": 3},
    "odd": {"hashes": {"sha256": "QQ=="}, "length": 3},
    "below": {"hashes": {"sha256": ABC}, "length": -1},
    "null": None,
}


def test_entries_are_read_when_they_are_asked_for() -> None:
    files = TargetFiles(LISTED)
    assert work(lambda: TargetFiles(LISTED)) < 5
    unusable = {name for name, entry in files.items() if isinstance(entry, UnusableEntry)}
    assert unusable == {"odd", "below", "null"}
    assert files["plain"] == TargetFile(3, {"sha256": hashlib.sha256(b"abc").digest()})
    assert "plain" in files
    assert "other" not in files
    assert len(files) == len(LISTED)


def test_entries_are_written_as_they_would_be_once_read() -> None:
    files = TargetFiles(LISTED)
    assert files.to_json() == {name: entry.to_json() for name, entry in files.items()}
    assert files.to_json()["plain"] is LISTED["plain"]
    changed = {"plain", "custom", "odd", "below", "null"}
    assert {name for name, entry in files.to_json().items() if entry == LISTED[name]} == changed


def test_edited_entries_are_equal_only_if_all_entries_are() -> None:
    files, one = TargetFiles(LISTED), TargetFile.of(b"one")
    assert files == TargetFiles(LISTED) == dict(files)
    assert files.edited({}) == files
    assert files.edited({"new": one})["new"] == one
    assert "plain" in files
    assert "plain" not in files.edited({"plain": None})
    assert files.edited({"new": one, "plain": None}) != files
    assert files.edited({"plain": one}) != files
    assert files.edited({"plain": files["plain"], "gone": None}) == files
