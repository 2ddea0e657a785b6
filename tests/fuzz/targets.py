"""What reads received bytes, as functions that any bytes can be thrown at.

What it is: one function for each reader, and what must hold for whatever it reads. What
it is not: a fuzzer; `campaign` and the tests throw the bytes.

Rules:

1. A target raises nothing for the errors that its reader promises: these are answers.
   Anything else that comes out is a finding.
2. A target does a bounded amount of work: what a file may ask for in rounds of key
   derivation is cut down here.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import re
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from notarypy.cli.text.render import error_text, safe
from notarypy.client.build import inputs
from notarypy.client.build.inputs import FileVariables
from notarypy.client.metadata import feed
from notarypy.client.parameters import VerifyOptions
from notarypy.client.verdicts import AppliedPolicy, VerifiedImage
from notarypy.cosign import notationenvelope, signaturekeys, sigstorebundle, simplesigning
from notarypy.cosign.notationenvelope import SigningChain
from notarypy.errors import (
    AdmissionReviewError,
    Advice,
    AlreadyExistsError,
    AuthenticationError,
    BuildFileError,
    ConfigurationError,
    InvalidNameError,
    MetadataError,
    PassphraseWrongError,
    ServerError,
    SignerMissingError,
    TrustError,
    UnsupportedKeyError,
    UsageError,
    VerificationError,
)
from notarypy.images import layout, manifests, occurrences, reference, referrerlist
from notarypy.images.dockerfile import portable, stages
from notarypy.images.dockerfile.variables import BuildOptions
from notarypy.keys.formats import cosignkey, keyuri, pbes, pem, pkcs8, sealed, urisecrets
from notarypy.keys.signers import keyfile, pkcs11uri
from notarypy.kubernetes import review
from notarypy.kubernetes.admissionanswer import ImageVerdict, answer
from notarypy.limits import DEFAULT, Limits
from notarypy.remote import notary, pushstream, serviceverdicts
from notarypy.remote.auth import challenges, credentials, tokens
from notarypy.remote.auth.dockerconfig import DockerAuthConfig
from notarypy.remote.http import failures
from notarypy.remote.http.messages import Response
from notarypy.service import verifyrequest
from notarypy.service.verifier import Verdict
from notarypy.storage.images import trustarchive
from notarypy.storage.images.archives import Archive
from notarypy.storage.images.trustarchive import ArchivedRepository, TrustArchive
from notarypy.tuf import (
    authorities,
    canonical,
    certificateparts,
    certificates,
    envelope,
    keyobjects,
    keys,
    roles,
    signerkeys,
    usual,
)
from notarypy.tuf.applystaged import apply_staged
from notarypy.tuf.changes import State
from notarypy.tuf.envelope import Envelope
from notarypy.tuf.joinedparts import merged, require_verified
from notarypy.tuf.metadata import Root, Snapshot, Targets, Timestamp
from notarypy.tuf.parts import HalfSigned, Part
from notarypy.tuf.stagedchanges import Staged
from notarypy.tuf.trusted import TrustedMetadata
from notarypy.values import replace
from support import admissions, signingcertificates
from support.repository import delegated, load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography import x509

FIXTURES = Path(__file__).parents[2] / "fixtures"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GUN = "docker.io/library/alpine"
PASSPHRASE = "a passphrase"
_ROUNDS = 100
_UNPACKED = 1 << 20
# Such text has a canonical form, which is signed raw and is no JSON: it can be read, and not written.
_CONTROL = re.compile(rb"[\x00-\x1f]")
_KINDS: dict[str, type[Root | Targets | Snapshot | Timestamp]] = {
    roles.ROOT: Root,
    roles.TARGETS: Targets,
    roles.SNAPSHOT: Snapshot,
    roles.TIMESTAMP: Timestamp,
}


@dataclass(frozen=True)
class Target:
    """A function to throw bytes at, and well-formed bytes to begin with."""

    run: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]


class _NoWork:
    """What derives a key, without the work."""

    @staticmethod
    def scrypt(_: bytes, *, dklen: int, **__: object) -> bytes:
        """Return a key that opens nothing."""
        return bytes(dklen)


def limit_work() -> None:
    """Cut down what one key file may cost (rule 2)."""
    vars(pbes)["DEFAULT"] = Limits(kdf_rounds=_ROUNDS, scrypt_memory_bytes=1 << 16)
    vars(sealed)["DEFAULT"] = vars(pbes)["DEFAULT"]
    vars(cosignkey)["hashlib"] = _NoWork


# -- images in files


def image_layout(data: bytes) -> None:
    """The index of a layout keeps its names, a list its entries; what a manifest names is well-formed."""
    entry = layout.of(b"", manifests.OCI_MANIFEST)
    for media_type in (*manifests.ACCEPT, layout.ARTIFACT):
        with suppress(VerificationError):
            named = layout.links(data, media_type)
            assert all(entry.is_manifest and entry.size >= 0 for entry in named.manifests)
    with suppress(MetadataError):
        layout.check_layout(data)
    with suppress(VerificationError, AlreadyExistsError):
        before = layout.read_index(data)
        after = layout.read_index(layout.with_entry(data, entry, "new"))
        assert [each for each in before if each.name != "new"] == list(after[:-1])
    with suppress(MetadataError):
        listed = referrerlist.read_list(data)
        grown = referrerlist.read_list(referrerlist.with_entry(data, entry.digest, entry))
        kept = tuple(each for each in listed.entries if each.digest != entry.digest)
        assert grown.entries in {(*kept, entry), listed.entries}
    with suppress(VerificationError):
        referrerlist.subject_of(data)


def archive(data: bytes) -> None:
    """An archive has its files within itself, under names that lead nowhere else."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with suppress(MetadataError):
            found = Archive(
                Path(file.name), Limits(unpacked_bytes=_UNPACKED, unpacking_memory_bytes=_UNPACKED)
            )
            for name in ("index.json", "link", "long" * 30):
                member = found.find(name, links=True)
                if member is not None:
                    assert len(b"".join(found.pieces(member, 0))) == member.size <= max(len(data), _UNPACKED)


def cosign_signature(data: bytes) -> None:
    """Cosign's signatures: texts, bundles, the manifests that keep them, and one layer more."""
    with suppress(MetadataError):
        assert isinstance(simplesigning.read(data).reference, str)
    with suppress(MetadataError):
        assert sigstorebundle.read(data).signatures
    with suppress(VerificationError):
        sigstorebundle.layers(data)
        before = simplesigning.layers(data)
        config, grown = simplesigning.with_layers(data, {b"text": b"signature"})
        assert [layer.signature for layer in simplesigning.layers(grown)][:-1] == [
            layer.signature for layer in before
        ]
        assert json.loads(config)["rootfs"]["diff_ids"]
    with suppress(UnsupportedKeyError):
        assert not signaturekeys.load(data).verify(data, b"message")


def notation_envelope(data: bytes) -> None:
    """Envelopes of notation, the manifests that keep them, and certificates."""
    with suppress(VerificationError):
        notationenvelope.verify(data, _chain(), _IMAGE)
    with suppress(VerificationError):
        notationenvelope.layers(data)
    with suppress(UsageError, UnsupportedKeyError):
        assert SigningChain.load(data).algorithm in {"ES256", "PS256"}


def trust_archive(data: bytes) -> None:
    """A trust archive has repositories with names that are safe, and their files within itself."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with suppress(MetadataError):
            found = TrustArchive(Path(file.name))
            for gun in found.repositories:
                assert roles.check_gun(gun) == gun
                with suppress(FileNotFoundError):
                    assert len(found.read(gun, "root.json", 1000)) <= len(data)


# -- metadata


def json_object(data: bytes) -> None:
    """Strict JSON: its canonical form is a fixed point."""
    try:
        value = canonical.decode(data)
    except MetadataError:
        return
    text = canonical.encode(value)
    if not _CONTROL.search(text):
        again = canonical.decode(text)
        assert again == value
        assert canonical.encode(again) == text
        stored = canonical.storage_form(text, [])
        assert stored.startswith(b'{"signed":{')
        assert canonical.decode_file(stored, "")[0] == {"signed": value, "signatures": []}
        same_both_ways(b'{"signed":' + data + b',"signatures":[]}')


def same_both_ways(data: bytes) -> None:
    """A file that is decoded quickly is the one that is decoded slowly, or refused as that is."""
    found, expected = (_decoded(decode, data) for decode in (canonical.decode_file, canonical.decode))
    if not isinstance(found, tuple):
        assert found == expected
        return
    outer, form = found
    assert outer == expected
    assert form is None or form == canonical.encode(outer["signed"])


def _decoded(decode: Callable[[bytes], object], data: bytes) -> object:
    try:
        return decode(data)
    except MetadataError as error:
        return [type(error), error.message, error.why]


def signed_file(data: bytes) -> None:
    """A signed file: what is sealed again reads as the same file."""
    same_both_ways(data)
    try:
        file = Envelope.parse(data, roles.TARGETS)
    except MetadataError:
        return
    if _CONTROL.search(file.canonical):
        return
    again = Envelope.parse(envelope.seal(file.signed, file.signatures), roles.TARGETS)
    assert (again.signed, again.signatures) == (file.signed, file.signatures)
    assert again.canonical == file.canonical


def metadata(data: bytes) -> None:
    """All four kinds of metadata: what is read and written reads as the same value."""
    with suppress(MetadataError):
        signed = canonical.decode(data).get("signed")
        for role, kind in _KINDS.items():
            with suppress(MetadataError):
                value = kind.from_signed(signed if isinstance(signed, dict) else {})
                # A key that nobody can use has one written form, which need not be the one that was read.
                assert kind.from_signed(value.to_signed()).to_signed() == value.to_signed(), role


def staged_change(data: bytes) -> None:
    """A change file, and what is in one: what comes of it can be published and read."""
    with suppress(MetadataError):
        read = Staged.parse(data)
        assert Staged.parse(read.document()) == read
        _made_true(read)
    for role, kind in (("targets", "target"), ("targets/a", "delegation"), ("targets/*", "delegation")):
        for action in ("create", "update"):
            _made_true(Staged(action, role, kind, "a", data))


def _made_true(change: Staged) -> None:
    with suppress(TrustError, UsageError, UnsupportedKeyError):
        after = apply_staged(_staged_on(), [(7, change)], lambda _state, _role: True).state
        for role in after.dirty:
            text = canonical.encode(replace(after.targets[role], version=7).to_signed())
            Targets.from_signed(canonical.decode(text), role)


@cache
def _staged_on() -> State:
    return State.of(load(delegated("targets/a", "targets/a/b").repository()))


def part(data: bytes) -> None:
    """A part: what is written again reads as the same part, and has no signature that nobody made."""
    with suppress(TrustError, UsageError):
        found = Part.parse(data)
        assert Part.parse(found.document()) == found
        with suppress(TrustError):
            require_verified(found)
            assert merged([found, found]) == found.counting()


def repository(data: bytes) -> None:
    """A root and what it signs: the first bytes that are no JSON end a file."""
    files = data.split(b"\0")
    trusted = TrustedMetadata(GUN, NOW, {roles.TARGETS: data, roles.RELEASES: files[-1]})
    steps: tuple[Callable[[bytes], object], ...] = (
        trusted.first_root,
        trusted.update_timestamp,
        trusted.update_snapshot,
        trusted.update_targets,
    )
    with suppress(TrustError):
        for step, file in zip(steps, files, strict=False):
            if step == trusted.update_targets and trusted.outdated_root() is not None:
                return
            step(file)
        trusted.update_root(files[-1])


# -- keys and certificates


def _opened(read: Callable[[pem.KeyBlock, str], pkcs8.PrivateKey], block: pem.KeyBlock) -> object:
    """Return which key one of the two ways finds, or why there is none."""
    try:
        return keys.public_key_of(read(block, PASSPHRASE))
    except (UnsupportedKeyError, PassphraseWrongError) as error:
        return type(error), error.message, error.why, error.advice


def private_key(data: bytes) -> None:
    """A private key file: opened, or refused with a reason."""
    try:
        blocks = pem.split(data, cosign=True)
    except UnsupportedKeyError:
        return
    for block in blocks:
        assert pem.split(block.block, cosign=True)
        if block.of_cosign:
            _opened(sealed.opened, block)
            continue
        assert _opened(sealed.opened, block) == _opened(pkcs8.decrypt, block)
        with suppress(UnsupportedKeyError):
            assert pem.split(pem.with_path(block, "0" * 64))[0].path == "0" * 64


def key_reference(data: bytes) -> None:
    """A file that says where a key is: read, and written the same again, or refused with a reason."""
    with suppress(UnsupportedKeyError):
        found = keyuri.read(data)
        assert not urisecrets.holds_secret(found.uri)
        with suppress(InvalidNameError):
            assert keyuri.read(keyuri.write(found)) == found


def token_uri(data: bytes) -> None:
    """The URI of a key on a token: what is read is written, and read the same again."""
    with suppress(UsageError):
        uri = pkcs11uri.parse(data.decode("utf-8", "surrogateescape"))
        assert pkcs11uri.parse(str(uri)) == uri


def public_key(data: bytes) -> None:
    """A public key or certificate file."""
    with suppress(UnsupportedKeyError):
        key = signerkeys.load_public_pem(data, NOW)
        assert len(key.canonical_id) == 64
        assert keys.PublicKey.from_json(key.to_json()) == key


def usual_certificate(data: bytes) -> None:
    """What is taken for a usual certificate is what `cryptography` reads there; the same of a usual key."""
    text = base64.b64encode(data)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    block = b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])
    for pem_data in (data, block):
        certified = usual.certified(pem_data)
        if certified is not None:
            (known,) = certificateparts.load_pem(pem_data)
            assert keyobjects.encoded(known) == certified
            assert usual.public_key(*certified) == known.public_key()
        found = usual.certificate(pem_data)
        if found is not None:
            begin, end = known.not_valid_before_utc, known.not_valid_after_utc
            assert (begin, end) == (found.not_valid_before_utc, found.not_valid_after_utc)
            assert certificateparts.common_names(known) == [found.name]
            assert not certificateparts.is_authority(known)
            assert isinstance(known.signature_hash_algorithm, SHA256)
            assert keyobjects.encoded(known)[1] == found.public
            assert known.public_bytes(Encoding.DER) == found.der
    for keytype in ("ecdsa", "rsa"):
        key = usual.public_key(keytype, data)
        assert key is None or key == load_der_public_key(data)
        assert key is None or keyobjects.encoded(key) == (keytype, data)


def certificate(data: bytes) -> None:
    """A certificate bundle of a root key: a reason, or none, and never an exception."""
    for keytype in keys.X509_TYPES:
        key = keys.PublicKey(keytype, data)
        assert isinstance(certificates.problem(key, GUN, NOW), str)
        assert isinstance(authorities.problem(key, pinned(), NOW), str)
        assert len(key.canonical_id) == 64
    with suppress(MetadataError):
        authorities.load(data)


@cache
def pinned() -> tuple[x509.Certificate, ...]:
    """Return an authority to search chains to."""
    return authorities.load((FIXTURES / "keys" / "bob.crt").read_bytes())


def signature(data: bytes) -> None:
    """A signature by any method: true or false."""
    for method in ("ecdsa", "rsapss", "rsapkcs1v15", "eddsa"):
        for key in (*root_keys(), keys.PublicKey("ed25519", data[:32]), keys.PublicKey("rsa", data)):
            assert envelope.verify(key, method, data, b"message") is False


@cache
def root_keys() -> tuple[keys.PublicKey, ...]:
    """Return the keys of a real root."""
    data = (FIXTURES / "go" / "dockerhub-alpine-2018" / "root.json").read_bytes()
    return tuple(Root.from_signed(Envelope.parse(data, roles.ROOT).signed).keys.values())


# -- names, images, servers


def image_reference(data: bytes) -> None:
    """A reference: its text reads as the same reference."""
    text = data.decode(errors="surrogateescape")
    with suppress(InvalidNameError):
        found = reference.parse(text)
        assert reference.parse(str(found)) == found
        roles.check_gun(found.repository)
    checks = (
        reference.parse_registry,
        roles.check_gun,
        roles.check_role,
        roles.check_target_name,
        roles.signer_role,
    )
    for check in checks:
        with suppress(InvalidNameError):
            check(text)


def build_file(data: bytes) -> None:
    """A Dockerfile: every image has its place, and with digests the file is the same but for them."""
    text = occurrences.decode(data, "Dockerfile")
    assert occurrences.encode(text) == data
    with suppress(BuildFileError):
        found = stages.parse(text, "Dockerfile", BuildOptions({"TAG": "1"}, "linux/arm64"))
        assert occurrences.rewrite(text, {}) == text
        with suppress(BuildFileError):
            portable.write(found, "Dockerfile")
        told = FileVariables(BuildOptions({"TAG": "1"}, "linux/arm64"))
        with suppress(InvalidNameError):
            names = {each: occurrences.pinned(each.image, f"sha256:{'0' * 64}") for each in found.occurrences}
            inputs.read(text, "Dockerfile", "dockerfile", told).with_names(names, told)


def workload(data: bytes) -> None:
    """A compose file or a manifest: as for a Dockerfile."""
    text = occurrences.decode(data, "x.yaml")
    with suppress(BuildFileError):
        found = inputs.read(text, "x.yaml", None, FileVariables(environment={"TAG": "1"}))
        with suppress(InvalidNameError):
            names = {each: occurrences.pinned(each.image, f"sha256:{'0' * 64}") for each in found.occurrences}
            found.with_names(names, FileVariables(environment={"TAG": "1"}))


def admission_review(data: bytes) -> None:
    """An AdmissionReview: an error with its uid, or an answer that JSON can say and whose patch fits once."""
    try:
        asked = review.read_review(data)
        placed = review.images_of(asked)
    except AdmissionReviewError as error:
        facts = set(error.facts)
    else:
        _answered(data, asked, placed)
        return
    assert facts in ({"uid", "version"}, set())


def _answered(data: bytes, asked: review.AdmissionReview, placed: Sequence[review.PlacedImage]) -> None:
    response = answer(asked, placed, verdicts_of(placed), mutate=True).document["response"]
    assert json.loads(json.dumps(response)) == response
    changed = admissions.patched(json.loads(data), {"response": response})
    again = review.read_review(json.dumps(changed).encode())
    found = review.images_of(again)
    assert len(found) == len(placed)
    assert "patch" not in answer(again, found, verdicts_of(found), mutate=True).document["response"]


def verdicts_of(placed: Sequence[review.PlacedImage]) -> dict[str, ImageVerdict | None]:
    """Return good verdicts on images."""
    return {one.image: ImageVerdict(one.image, f"sha256:{'0' * 64}") for one in placed}


def image_manifest(data: bytes) -> None:
    """A manifest or an index, and never both."""
    kind, _, body = data.partition(b"\n")
    with suppress(VerificationError):
        found = manifests.served(body, kind.decode(errors="replace") or None)
        assert found.digest == manifests.digest_of(body)
        assert found.media_type in manifests.ACCEPT


def change_feed(data: bytes) -> None:
    """Read a page of a server's feed of changes."""
    with suppress(feed.OddFeedError):
        for record in feed.records_of(data):
            found = feed.read_record(record)
            assert found.number >= 0 <= found.version
            assert found.time.tzinfo is not None


def login_challenge(data: bytes) -> None:
    """A WWW-Authenticate header."""
    for found in challenges.parse(data.decode("latin-1")):
        assert found.scheme == found.scheme.lower()
        assert all(isinstance(value, str) for value in found.parameters.values())


def token_reply(data: bytes) -> None:
    """A token service's answer: a token that can stand in a header, and a lifetime."""
    with suppress(ServerError):
        answer = Response(200, {}, data)
        found, lifetime = tokens._token_of("host", answer, DEFAULT.token_bytes)  # noqa: SLF001 - the reader itself
        assert found.isascii()
        assert found.isprintable()
        assert 0 < lifetime <= tokens.LONGEST_LIFETIME
    challenges.granted(f"Bearer {data.decode('latin-1')}", "repository:a:pull")


def error_document(data: bytes) -> None:
    """A server's error: shortened, and harmless once it is printed."""
    answer = Response(400, {"retry-after": data[:12].decode("latin-1")}, data)
    for found in failures.problems(answer):
        notary._detail(found.detail)  # noqa: SLF001 - the reader itself
        assert len(str(found)) <= DEFAULT.error_chars
        assert safe(found).isprintable()
    assert failures.of_status("host", "path", answer).why is not None


def docker_config(data: bytes) -> None:
    """Docker's config.json, and what it says for a host."""
    text = data.decode("latin-1")
    config = DockerAuthConfig({DockerAuthConfig.VARIABLE: text, "PATH": ""}, timeout=1)
    with suppress(ConfigurationError, AuthenticationError):
        config.get("registry.test", "team/app")
    with suppress(ConfigurationError):
        config.registry_headers()


def credential_helper(data: bytes) -> None:
    """A credential helper's answer."""
    with suppress(AuthenticationError):
        credentials.Helper("x", "config.json", {})._read("host", data)  # noqa: SLF001 - the reader itself


def daemon_records(data: bytes) -> None:
    """What a docker daemon says while it pushes: a digest and a size that can be, or an error."""
    errors = (pushstream.PushError, pushstream.SilentError, pushstream.NonsenseError)
    with suppress(*errors, pushstream.TooMuchError):
        pushed = pushstream.outcome(io.BytesIO(data), "1")
        assert pushed.digest == reference.check_digest(pushed.digest)
        assert 0 < pushed.size <= DEFAULT.manifest_bytes


def verify_request(data: bytes) -> None:
    """What a verification service is asked: names, a pin and keys that can be, or an error."""
    with suppress(UsageError, UnsupportedKeyError):
        found = verifyrequest.read_request(data, DEFAULT)
        assert 0 < len(found.images) <= DEFAULT.service_images
        assert all(str(reference.parse(image)) for image in found.images)
        assert found.options.root is None or found.options.root == roles.check_pin(found.options.root)
        assert verifyrequest.read_request(data, DEFAULT) == found


def verify_answer(data: bytes) -> None:
    """What a verification service answers: a verdict on the image that was asked about, or an error."""
    asked = serviceverdicts.AskedImage("r.test/a:1", "r.test/a", "1", None)
    with suppress(ValueError, serviceverdicts.ServiceVerdictError):
        (verdict,) = serviceverdicts.read(data, [asked], verified=False)
        if verdict.error is None:
            assert (verdict.data["repository"], verdict.data["tag"]) == ("r.test/a", "1")
            assert verdict.data["image"] == f"r.test/a@{reference.check_digest(verdict.data['digest'])}"
        else:
            assert verdict.error.exit_code
            assert error_text(verdict.error)


# -- seeds


def _fixtures(*patterns: str) -> Callable[[], list[bytes]]:
    def read() -> list[bytes]:
        paths = sorted(path for pattern in patterns for path in FIXTURES.glob(pattern) if path.is_file())
        return [path.read_bytes() for path in paths]

    return read


def _certificates() -> list[bytes]:
    """Return certificates of roots and of signers."""
    found = [key.public for key in root_keys() if key.keytype in keys.X509_TYPES]
    return found + _fixtures("keys/*.crt")()


def _references() -> list[bytes]:
    uris = ("hashivault://release?version=1", "pkcs11:token=a;id=%01?pin-source=file:/run/pin")
    bare = [key.bare for key in root_keys()]
    return [keyuri.write(keyuri.KeyReference(uri, "jeff", key)) for uri in uris for key in bare]


def _repositories() -> list[bytes]:
    names = ("root.json", "timestamp.json", "snapshot.json", "targets.json")
    found = []
    for root in sorted(FIXTURES.glob("go/*/**/root.json")):
        parts = [root.with_name(name) for name in names]
        if all(part.exists() for part in parts):
            found.append(b"\0".join(part.read_bytes() for part in parts))
    return found


def _parts() -> list[bytes]:
    """Return parts that renew targets, with the signatures of the version before, which are good no more."""
    found = []
    for files in (seed.split(b"\0") for seed in _repositories()):
        file = Envelope.parse(files[-1], roles.TARGETS)
        drafted = {**file.signed, "version": int(file.signed["version"]) + 1}
        base = {roles.ROOT: files[0], roles.TARGETS: files[-1]}
        found.append(Part(GUN, base, {roles.TARGETS: HalfSigned(drafted, file.signatures)}).document())
    return found


def _manifests() -> list[bytes]:
    part = {"mediaType": "application/octet-stream", "digest": f"sha256:{'0' * 64}", "size": 1}
    platform = {"os": "linux", "architecture": "amd64", "variant": "v8"}
    bodies = (
        (manifests.OCI_MANIFEST, {"config": part, "layers": [part]}),
        (manifests.DOCKER_MANIFEST, {"config": part, "layers": [part]}),
        (manifests.OCI_INDEX, {"manifests": [{**part, "platform": platform}]}),
        (manifests.DOCKER_LIST, {"manifests": [part]}),
    )
    return [
        f"{kind}\n{json.dumps({'schemaVersion': 2, 'mediaType': kind, **body})}".encode()
        for kind, body in bodies
    ]


def _layouts() -> list[bytes]:
    part = {"mediaType": manifests.OCI_MANIFEST, "digest": f"sha256:{'0' * 64}", "size": 1}
    named = {**part, "annotations": {layout.NAME: "1"}, "urls": ["https://x.test"], "data": "AA=="}
    return [
        layout.LAYOUT_TEXT,
        json.dumps({"schemaVersion": 2, "manifests": [named, part]}).encode(),
        json.dumps({"mediaType": layout.ARTIFACT, "blobs": [part]}).encode(),
        *(seed.partition(b"\n")[2] for seed in _manifests()),
    ]


def _cosign() -> list[bytes]:
    digest = f"sha256:{'0' * 64}"
    body = sigstorebundle.statement(digest, {"a": "b"})
    text = simplesigning.payload(simplesigning.Claim("registry.test/app:1", digest, {"a": "b"}))
    bundle = sigstorebundle.bundle(body, b"signature", "hint")
    subject = layout.Descriptor(manifests.OCI_MANIFEST, digest, 5)
    pem_data = keys.public_key_of(ed25519.Ed25519PrivateKey.from_private_bytes(b"1" * 32)).to_pem()
    manifest = simplesigning.with_layers(None, {text: b"signature"})[1]
    return [text, body, bundle, manifest, sigstorebundle.manifest(subject, bundle), pem_data]


_IMAGE = layout.Descriptor(manifests.OCI_MANIFEST, f"sha256:{'0' * 64}", 5)


@cache
def _chain() -> SigningChain:
    return SigningChain.load(signingcertificates.pem(signingcertificates.LEAF))


def _notation() -> list[bytes]:
    message = notationenvelope.message(_IMAGE, "ES256", signingcertificates.START)
    signature = keyfile.LocalSigner(signingcertificates.KEYS["P-256"]).sign(message)[1]
    content = notationenvelope.envelope(message, signature, _chain(), "a test")
    kept = notationenvelope.manifest(_IMAGE, content, _chain(), signingcertificates.START)
    return [content, kept, *(signingcertificates.pem(*one) for one in signingcertificates.GOOD.values())]


def _archives() -> list[bytes]:
    found = []
    for style in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=style) as made:
            for name in ("index.json", "long" * 30 if style else "short"):
                member = tarfile.TarInfo(name)
                member.size, member.mtime = 2, 0
                made.addfile(member, io.BytesIO(b"{}"))
            member = tarfile.TarInfo("link")
            member.type, member.linkname = tarfile.SYMTYPE, "index.json"
            made.addfile(member)
        found.append(buffer.getvalue())
    return [*found, *(pack(found[0]) for pack in (gzip.compress, bz2.compress, lzma.compress))]


def _trust_archives() -> list[bytes]:
    listed = [ArchivedRepository("registry.test/app", "https://n.test", datetime(2027, 1, 2, tzinfo=UTC))]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name, data in (
            (trustarchive.INDEX, trustarchive.index(datetime(2027, 1, 1, tzinfo=UTC), "notarypy", listed)),
            (trustarchive.member("registry.test/app", "root.json"), b"{}"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return [buffer.getvalue(), *_archives()[:3]]


def _answers() -> list[bytes]:
    asked = verifyrequest.VerifyRequest(("r.test/a:1",), VerifyOptions())
    ended = datetime(2027, 1, 2, tzinfo=UTC)
    unmet = AppliedPolicy("*", "audit", (SignerMissingError("m", why="w", advice=Advice("x", of=1)),))
    good = VerifiedImage("r.test/a", "1", f"sha256:{'0' * 64}", 9, "targets", ("jeff",), ended, None, unmet)
    verdicts = Verdict(good, ("w",)), Verdict(UsageError("m", why="w", advice=Advice("x"), fact=1)), None
    refused = verifyrequest.refusal(UsageError("m"))
    return [*(verifyrequest.answer(asked, [verdict]) for verdict in verdicts), refused]


def _these(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


_METADATA = _fixtures("go/**/root.json", "go/**/t*.json", "go/**/snapshot.json")
_LOGIN = '{"username": "u", "password": "p", "auth": "dTpw", "identitytoken": "t", "registrytoken": ""}'

TARGETS = {
    "json": Target(json_object, _METADATA),
    "envelope": Target(signed_file, _METADATA),
    "metadata": Target(metadata, _METADATA),
    "part": Target(part, _parts),
    "staged-change": Target(
        staged_change,
        lambda: [
            text
            for file in _fixtures("go/changelist/*")()
            for text in (file, base64.b64decode(json.loads(file)["data"] or ""))
        ],
    ),
    "repository": Target(repository, _repositories),
    "private-key": Target(private_key, _fixtures("keys/*", "keys/openssl/*", "keys/cosign/*")),
    "key-reference": Target(key_reference, _references),
    "public-key": Target(public_key, _fixtures("keys/*.pub", "keys/*.crt")),
    "usual-certificate": Target(
        usual_certificate,
        lambda: [
            *_certificates(),
            *(base64.b64decode(b"".join(pem_data.split(b"\n")[1:-2])) for pem_data in _certificates()),
            *(keys.PublicKey("rsa-x509", pem_data).bare.public for pem_data in _certificates()),
        ],
    ),
    "certificate": Target(
        certificate, lambda: [key.public for key in root_keys()] + _fixtures("keys/*.crt")()
    ),
    "signature": Target(signature, lambda: [b"\1" * 64, b"\1" * 256]),
    "admission-review": Target(
        admission_review, lambda: [case.data(admissions.World()) for case in admissions.cases()]
    ),
    "reference": Target(
        image_reference,
        _these(
            "alpine",
            "registry.test:5000/team/app:1.0@sha256:" + "0" * 64,
            "[::1]:443/a/b__c--d",
            "index.docker.io/library/x_y.z",
        ),
    ),
    "dockerfile": Target(build_file, _fixtures("dockerfiles/*.dockerfile")),
    "workload": Target(
        workload,
        _these(
            'services:\n  a: {image: "a:${TAG:-1}"}\n  b: {build: {additional_contexts: [x=docker-image://x]}}\n',
            "x: &x {image: a}\nservices: {a: {<<: *x, volumes: [{type: image, source: b:1}]}}\n",
            "apiVersion: v1\nkind: List\nitems:\n- kind: Pod\n  spec: {containers: [{image: 'a:1'}]}\n---\n",
        ),
    ),
    "manifest": Target(image_manifest, _manifests),
    "cosign-signature": Target(cosign_signature, _cosign),
    "notation-envelope": Target(notation_envelope, _notation),
    "layout": Target(image_layout, _layouts),
    "archive": Target(archive, _archives),
    "trust-archive": Target(trust_archive, _trust_archives),
    "change-feed": Target(
        change_feed,
        _these(
            '{"count":1,"records":[{"ID":"1","CreatedAt":"2026-11-23T06:28:53.62343808Z","GUN":"r.test/a",'
            f'"Version":1,"SHA256":"{"ab" * 32}","Category":"update"}}]}}',
            '{"count":0,"records":null}',
        ),
    ),
    "challenge": Target(
        login_challenge,
        _these(
            'Bearer realm="https://auth.test/token",service="a \\" b",scope="repository:a:pull",Basic r=x',
            "Negotiate dG9rZW4=, Digest a=b , , c = d",
        ),
    ),
    "token": Target(
        token_reply,
        _these('{"token": "abc.def-_~+/=", "expires_in": 300}', '{"access_token": "x", "expires_in": 1e9}'),
    ),
    "error": Target(
        error_document,
        _these('{"errors": [{"code": "X", "message": "m", "detail": {"Name": "n", "Error": {"Msg": "e"}}}]}'),
    ),
    "docker-config": Target(
        docker_config,
        _these(
            f'{{"auths": {{"registry.test": {_LOGIN}, "https://index.docker.io/v1/": {{}}}},'
            '"credHelpers": {"other.test": ""}, "credsStore": "", "HttpHeaders": {"X-Meta-A": "b"}}'
        ),
    ),
    "daemon": Target(
        daemon_records,
        _these(
            '{"status": "x", "id": "a"}\r\n{"aux": {"Tag": "1", "Digest": "DIGEST", "Size": 9}}\r\n'.replace(
                "DIGEST", f"sha256:{'0' * 64}"
            ),
            f'{{"status": "1: digest: sha256:{"0" * 64} size: 9"}}\n',
            '{"errorDetail": {"message": "m"}, "error": "m"}\n',
        ),
    ),
    "verify-request": Target(
        verify_request,
        _these(
            '{"images": ["r.test/a:1", "b"], "signers": ["jeff"], "all_signers": true, "registry": false, '
            f'"root": "{"0" * 64}", "also": []}}'
        ),
    ),
    "verify-answer": Target(verify_answer, _answers),
    "helper": Target(credential_helper, _these('{"ServerURL": "s", "Username": "<token>", "Secret": "s"}')),
    "token-uri": Target(
        token_uri,
        _these(
            "pkcs11:token=a%20b;serial=01;object=jeff;id=%01%FF?module-path=/usr/lib/x.so&pin-source=file:/run/pin",
            "pkcs11:slot-id=7;type=private?module-name=softhsm2&x=1",
        ),
    ),
}
