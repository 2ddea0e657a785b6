"""Every limit on what is received or read, in one value.

What it is: numbers, each with its unit and its reason. What it is not: a check; who reads something
compares. What is no limit on received data is not here: deadlines and waits (`storage.settings.settings`,
`remote.http.transport`), sizes of pieces, and what a format fixes by itself (`tuf.fields.MAX_VERSION`).

Rules:

1. One name, one value, one meaning. `*_bytes` are bytes, `*_chars` characters, `*_levels` levels of nesting;
   everything else is a count.
2. A limit is the most that is taken: what is beyond is refused before work is done for it.
3. Whoever reads takes the limits from the value that it was given, `DEFAULT` if none was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.values import dataclass

_KIB = 1 << 10
_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one client takes at most; every field may be given by name, and has the usual value otherwise.

    `Client(limits=...)` governs what that client reads of repositories, registries, archives and docker
    daemons: metadata files, signatures and keys, walks over roots, JSON, images, HTTP answers, the daemon.
    What is read of a single local file or text has the usual limits always, as have the certificates of
    pinned authorities and the texts of errors: certificates, key files and passphrases, configuration,
    files that name images, the command line. Each group says so.

    A client that takes less than another cannot use all that the other one stores.
    """

    # Metadata files

    root_bytes: int = 8 * _MIB
    """A root: hundreds of keys with certificates fit."""
    timestamp_bytes: int = 1 * _MIB
    """A timestamp: it names one file."""
    metadata_bytes: int = 64 * _MIB
    """Snapshot and targets, and never more than the length that is signed: 200 000 long tags take 42 MiB."""
    ahead_bytes: int = 2 * _MIB
    """What is asked for before it is needed: snapshot or targets, each, and delegations together."""
    beside_bytes: int = 512 * _KIB
    """Metadata of a repository that is read beside others: those with more go one at a time."""
    delegation_bytes: int = 64 * _MIB
    """A delegation, and never more than the length that is signed: one signer may sign all tags."""
    all_delegations_bytes: int = 128 * _MIB
    """All delegations, by the lengths that are signed: signers together must not flood readers."""
    part_bytes: int = 32 * _MIB
    """What several people sign: published files and new ones, each under its own limit, and indented."""
    cached_bytes: int = 128 * _MIB
    """A cached file other than root and timestamp: other tools write there too."""
    staged_change_bytes: int = 4 * _MIB
    """A change that is staged for a publish: hundreds of keys with certificates fit."""
    staged_changes: int = 50_000
    """Changes that are staged for one publish: there is a file for each."""
    staged_bytes: int = 64 * _MIB
    """All that is staged for one publish: it is in memory at once."""
    memory_bytes: int = 512 * _MIB
    """Memory for snapshot, targets and delegations, as estimated: values take more than their text."""
    delegations_in_file: int = 4096
    """Delegations that one file lists: each costs a request."""
    delegations: int = 4096
    """Delegations loaded: a delegate's own delegations must not make the rest unreadable."""
    delegation_levels: int = 16
    """Depth of delegations: real ones have two or three."""
    delegation_paths: int = 16_384
    """Paths of a delegation: each is compared with those above it."""
    judged_tags: int = 1024
    """Tags with one digest that are judged, those by different signers first: one would do."""

    # Signatures and keys; what is said of certificates holds for all clients

    signatures: int = 64
    """Signatures of a file."""
    tries_of_key: int = 8
    """Different signatures by one key id that are checked in a file, and none after a valid one."""
    signature_checks: int = 8192
    """Signatures of delegations that are checked, and of roots; so many of each: some keys are slow."""
    keys_of_role: int = 4096
    """Keys of a role: `targets/releases` has those of all signers."""
    public_key_bytes: int = 64 * _KIB
    """A key with its certificates, or a server's answer with its key: used keys stay in memory."""
    certificates: int = 16
    """Certificates of a key."""
    authority_levels: int = 16
    """Certificates on the way from a root key to a pinned authority."""
    authority_checks: int = 32
    """Signatures checked on the way to a pinned authority, for each root key that signed."""
    explained_keys: int = 8
    """Root keys of which an error says why they do not fit the pins: each may cost a search."""

    # Walks over roots

    root_versions: int = 256
    """Root versions walked, from the trusted root or for a pinned one: each costs a request."""
    walked_bytes: int = 32 * _MIB
    """All roots that are read to find a pinned one: nobody vouches for them yet."""
    root_changes: int = 2
    """Changes of the root while one refresh runs: a server could go on forever."""

    # A repository's past

    changes: int = 200_000
    """Records of a server's feed of changes: each publish is one, and so is each renewal of a timestamp."""

    # JSON of metadata

    json_levels: int = 64
    """Nesting of metadata: the decoder is recursive."""
    json_parts: int = 2_000_000
    """Brackets and commas of metadata: a value costs more memory than its text; 200 000 tags fit."""
    json_wide_bytes: int = 32 * _MIB
    """Metadata that is not all ASCII: one character may make Python keep four bytes for each."""

    # Manifests, layouts and archives

    manifest_bytes: int = 4 * _MIB
    """An image manifest or index, and the index of a layout or archive: registries refuse more too."""
    image_config_bytes: int = 4 * _MIB
    """The configuration of an image, where it is read for its platform or its layers."""
    image_manifests: int = 2000
    """Manifests of an image."""
    image_manifests_bytes: int = 32 * _MIB
    """All manifests of an image: they are kept in memory until they are pushed."""
    image_blobs: int = 20_000
    """Blobs of an image."""
    index_levels: int = 4
    """Depth of indexes."""
    blob_origins: int = 4
    """Repositories that a manifest says a blob is in, and that are asked for it with our login."""
    referrers: int = 4096
    """Entries of the list of what refers to an image: scanners add one a day, signers one each."""
    referrer_pages: int = 128
    """Pages of that list: each costs a request, and the server says which is the next."""
    layout_marker_bytes: int = 4 * _KIB
    """The file that says that a directory is a layout."""
    archive_entries: int = 100_000
    """Entries of an archive."""
    archive_header_bytes: int = 64 * _KIB
    """A long header of an archive."""
    archive_index_bytes: int = 16 * _MIB
    """The list of what is in a trust archive: as many repositories as an archive can hold."""
    cosign_payload_bytes: int = 64 * _KIB
    """The text of a classic signature: it names one image, with annotations."""
    cosign_bundle_bytes: int = 1 * _MIB
    """A bundle of the newer form, and the statement in it; an envelope of notation."""
    cosign_bytes: int = 32 * _MIB
    """All texts, bundles and their manifests that are read of an image, by the sizes that are said."""
    cosign_signatures: int = 128
    """Signatures of an image that are looked at in each form, each by requests: those of its name first."""
    unpacked_bytes: int = 64 * 1024 * _MIB
    """A compressed archive or layer, unpacked: the largest images fit, and a disk stays usable."""
    unpacking_memory_bytes: int = 256 * _MIB
    """Memory that xz may ask for: its own options need a quarter of it."""

    # HTTP answers

    header_bytes: int = 64 * _KIB
    """Headers of an answer."""
    answer_bytes: int = 1 * _MIB
    """An answer that has no limit of its own."""
    error_bytes: int = 64 * _KIB
    """An error's body; what is longer is cut."""
    token_bytes: int = 1 * _MIB
    """A token reply."""
    redirects: int = 3
    """Redirects that lead to what a registry has, or within a token service; metadata is never redirected."""

    # A service that verifies

    kept_verdicts: int = 8192
    """Verdicts that are kept: one for each image and what is required of it."""
    kept_repositories: int = 2048
    """Repositories whose metadata is kept."""
    kept_bytes: int = 256 * _MIB
    """What kept metadata takes in memory, as estimated; beyond it what was not asked for goes first."""
    remembered_bytes: int = 64 * _MIB
    """Verified files that cannot be stored, for the disk is full: they are floors all the same."""
    waiting_questions: int = 8192
    """Images that wait to be verified, half of them at one host: who asks for more is told so at once."""
    request_head_bytes: int = 16 * _KIB
    """The head of a request."""
    request_bytes: int = 20 * _MIB
    """The body of a request: an AdmissionReview, and what may stand around it."""
    requests_bytes: int = 64 * _MIB
    """The bodies of all requests until their answers are sent, and long answers."""
    request_id_chars: int = 64
    """An id that the caller gives a request; another one is made in place of a longer one."""
    service_requests: int = 256
    """Requests under way, unless `--max-requests` says otherwise."""
    service_connections: int = 512
    """Connections: one more takes the place of that which has been silent for longest."""

    # Texts of errors; for all clients

    error_entries: int = 16
    """Entries of a server's error document that are looked at."""
    error_chars: int = 1024
    """A text of a server that an error repeats; what is longer is cut."""

    # A docker daemon

    daemon_line_bytes: int = 64 * _KIB
    """A record of a docker daemon."""
    daemon_stream_bytes: int = 256 * _MIB
    """All records of a push: progress of hours fits."""

    # Key files and passphrases; for all clients

    key_file_bytes: int = 64 * _KIB
    """A key file of the trust directory."""
    named_file_bytes: int = 1 * _MIB
    """A file with keys or certificates that a person names, to import or to pin."""
    passphrase_file_bytes: int = 64 * _KIB
    """A file with passphrases."""
    kdf_rounds: int = 10_000_000
    """Rounds of key derivation: some seconds."""
    scrypt_memory_bytes: int = 256 * _MIB
    """Memory that scrypt may ask for."""
    scrypt_parallel: int = 16
    """How often scrypt may take it, one after the other."""

    # Configuration; for all clients

    config_bytes: int = 1 * _MIB
    """A configuration file: notarypy's, Go notary's, docker's, and the trust policy."""
    ca_bundle_bytes: int = 16 * _MIB
    """What is looked at of the system's CA bundle, to see whether it only repeats a directory."""
    helper_answer_bytes: int = 64 * _KIB
    """A credential helper's answer."""

    # Files that name images; for all clients

    build_file_bytes: int = 1 * _MIB
    """A Dockerfile, a file beside it, and a builder's report."""
    yaml_bytes: int = 32 * _MIB
    """A compose file or manifest: those that operators publish have 2 to 10 MB."""
    yaml_nodes: int = 3_000_000
    """Scalars, lists and mappings of a YAML file: a manifest of 10 MB has about a million."""
    dockerfile_line_bytes: int = 64 * _KIB - 1
    """A line of a Dockerfile: BuildKit reads no longer one."""
    instruction_bytes: int = 60 * _KIB
    """An instruction written on one line for builders other than BuildKit: room for what they add."""
    word_levels: int = 50
    """Nesting of variables in a word of a Dockerfile or compose file."""
    word_bytes: int = 64 * _KIB
    """A word of a Dockerfile with its variables worked out: they could double it again and again."""
    pattern_chars: int = 256
    """A pattern that is taken off a variable, and the variable: the time grows with both."""
    yaml_levels: int = 100
    """Nesting of YAML."""
    yaml_merged: int = 100_000
    """Members that merges bring into a YAML file: aliases could double them again and again."""
    reference_chars: int = 1024
    """An image reference."""

    # What an API server of Kubernetes asks

    review_bytes: int = 20 * _MIB
    """An AdmissionReview: an object and what it was. etcd takes 1.5 MiB of each, six-fold if escaped."""
    review_parts: int = 400_000
    """Brackets and commas of an AdmissionReview: a value costs more memory than its text."""
    review_images: int = 1024
    """Places of images in an AdmissionReview: pods have a dozen."""

    # The verification service, and who asks it

    service_images: int = 1000
    """Images of one request: a client that has more sends several."""
    service_required: int = 64
    """Signers, and keys of cosign, that a request requires: each is another question."""
    service_answer_bytes: int = 64 * _MIB
    """An answer, as a client takes it: of each image the evidence, with a line for each signer."""

    # The command line; for all clients

    input_bytes: int = 32 * _MIB
    """A file or standard input that a command is told to read."""
    reply_chars: int = 1024
    """What a person types where a question is asked."""
    plugin_bytes: int = 64 * _KIB
    """A docker plugin that is there already, read to tell whose it is."""

    if not TYPE_CHECKING:

        def __init__(self, **values: int) -> None:
            """Note what is not usual; raise TypeError for a name that no limit has."""
            if unknown := values.keys() - Limits.__annotations__.keys():
                raise TypeError(f"no limit is called {min(unknown)}")
            usual = vars(type(self))
            vars(self).update({name: value for name, value in values.items() if value != usual[name]})

    def __eq__(self, other: object) -> bool:
        """Compare all values."""
        return isinstance(other, Limits) and vars(self) == vars(other)

    def __hash__(self) -> int:
        """Fit the comparison."""
        return hash(frozenset(vars(self).items()))

    def __repr__(self) -> str:
        """Show what is not usual."""
        return f"Limits({', '.join(f'{name}={value}' for name, value in sorted(vars(self).items()))})"


def within(memory: int) -> Limits:
    """Return the limits of a service whose process may take so many bytes of memory.

    Two repositories that take the most fit while they are read, which takes 1.6 times what is estimated, and
    another one that is kept. The rest is for the program, requests and what is small.
    """
    return Limits(
        memory_bytes=min(memory // 6, DEFAULT.memory_bytes),
        json_wide_bytes=min(memory // 96, DEFAULT.json_wide_bytes),
        kept_bytes=min(memory // 8, DEFAULT.kept_bytes),
        remembered_bytes=min(memory // 16, DEFAULT.remembered_bytes),
        requests_bytes=max(DEFAULT.request_bytes, min(memory // 16, DEFAULT.requests_bytes)),
    )


DEFAULT = Limits()
EXTENDED = Limits(
    metadata_bytes=256 * _MIB,
    delegation_bytes=256 * _MIB,
    all_delegations_bytes=512 * _MIB,
    cached_bytes=512 * _MIB,
    memory_bytes=1536 * _MIB,
    delegations_in_file=1 << 16,
    delegations=1 << 16,
    delegation_paths=1 << 18,
    signatures=1024,
    signature_checks=1 << 17,
    keys_of_role=1 << 16,
    json_levels=200,
    json_parts=8_000_000,
    json_wide_bytes=128 * _MIB,
)
"""What is taken of a file that is to be made smaller (`--over-limits`), and never of one to be relied on."""
