"""What to do about an error, in words: the advice it carries, or else what helps with its kind.

What it is: one table from the names of advice to texts, with the parts in `keyadvice` and others, and what
helps with errors that bring none. What it is not: the choice of an advice (whoever raises an error makes it),
or safe to show as it stands (`render`).

Rules:

1. An error names its advice and brings the values; only here are the words, and commands to type.
2. A value goes in as it is. The braces in it, if there are any, mean nothing. One that is advice itself goes
   in as its text.
3. Packages have words of their own: `Advice("say", text=...)`. What has no text, or a value too few, is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.cli.text import findingadvice, keyadvice, placeadvice, publishadvice, serveradvice
from notarypy.errors import Advice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.errors import NotarypyError

_NONE: Mapping[str, str] = {}
TEXTS: Mapping[str, str] = {
    **findingadvice.TEXTS,
    **keyadvice.TEXTS,
    **placeadvice.TEXTS,
    **publishadvice.TEXTS,
    **serveradvice.TEXTS,
    # -- what is typed: options and arguments
    "add-server-managed": "add --server-managed",
    "add-sign": "add --sign, or leave {option} out",
    "add-yes": "add --yes if this is what you want",
    "choose-other-name": "choose another name",
    "did-you-mean": "did you mean: notarypy {command}",
    "give-both": "give both or neither",
    "give-pipe": "give a pipe to standard input: -",
    "give-several-files": "add --in-place, --diff or --check",
    "give-value": "give it a value or leave it out",
    "keep-one": "keep one of them",
    "known-keys": "known keys: {names}",
    "leave-option-or-digest": "leave out --local or the digest",
    "leave-other-options": "leave the other options out",
    "leave-out": "leave {option} out",
    "leave-out-dry-run": "leave out --local or --dry-run",
    "leave-out-one": "leave out one of them",
    "leave-refs-out": "leave out {refs}, or mend that first",
    "name-image": "name at least one, or a file that lists them: --from-file FILE",
    "name-command": "one of {names}; see {command} --help",
    "name-repositories": "name the repositories; or look whether --trust-dir is the one you mean",
    "name-value": "write {option} NAME=VALUE",
    "one-of": "one of {names}",
    "one-a-line": "one {what} a line; # begins a comment",
    "report-defect": "run it again with -vv and report what it prints",
    "report-demo": "report it, with the lines above",
    "see-help": "see {command} --help",
    "see-options": "see notarypy help options",
    "mend-place": "mend what stands at {place}",
    "name-files-with-images": "name the files that have the images: Dockerfiles, and what adds to these",
    "render-first": "render it first (helm template, or what fills it in), and pin what comes out; {place}",
    "pin-file": "pin it: notarypy pin --in-place {file}",
    "write-digest": "write REPO:TAG@{digest}",
    "write-prefix": "write --path {prefix}",
    "write-instead": "write {text}",
    # -- files and directories
    "convert-text": "convert it: iconv -f {encoding} -t UTF-8 {file}",
    "check-file": "check the name of the file and who may read it",
    "check-owner": "check who owns it and its mode",
    "choose-free-file": "remove it, or choose another name",
    "name-new-file": "name another file, which need not exist",
    "choose-new-directory": "name a directory that does not exist yet",
    "choose-safe-directory": "put the archive elsewhere, on a disk that knows modes of files; or remove it",
    "choose-trust-dir": "name a directory of your own with --trust-dir",
    "choose-writable": "use a directory that can be written",
    "make-directory": "make the directory, or name another one",
    "make-directory-or-dir": "make the directory, or use --dir",
    "mend-file": "mend {file}",
    "move-away": "move it away",
    "move-away-or": "move it away, or use {option}",
    "nothing-changed": "nothing was changed",
    "put-file": "put the file itself in its place",
    "put-directory": "put a real directory in its place",
    "wait-for-other": "try again when it is done",
    # -- configuration and policy
    "add-scope": 'if you trust it, add [scope."{repository}"] with what you require',
    "give-credentials-apart": "put credentials into NOTARY_AUTH, or log in: notarypy login REGISTRY",
    "mend-policy": "without it nothing is verified as you want: mend it, or name another with --policy",
    "name-certificates": "name a PEM file with certificates",
    "name-registry-first": "begin with one, as in docker.io/library",
    "name-repository": "name a repository, or its beginning",
    "name-server": "name one with --server",
    "pin-nothing": "leave it out to pin nothing",
    "require-nobody": "leave it out to require nobody",
    "trust-ca-instead": "remove it and name the server's CA in root_ca",
    "write-json": "write the same as JSON, in a file whose name ends in .json",
    "write-mode": "write enforce, audit or skip",
    "write-registry": 'write the registry\'s host, or "*"',
    # -- images, layouts and archives
    "check-source": "look at SOURCE: oci:DIR, oci-archive:TAR (both as OCI has it) or docker-archive:TAR",
    "make-anew": "make it anew, with all of the image",
    "make-anew-with-sha256": "make the image anew with SHA-256 digests",
    "make-anew-with-writer": "make it anew with the tool that wrote it",
    "make-layout-anew": "make the layout anew, with all of the image",
    "name-archive-image": "name one of them: docker-archive:TAR:REF, or docker-archive:TAR:@NUMBER",
    "name-its-platform": "name one that it has, or leave --platform out",
    "name-layout-image": "name one of them: SOURCE:TAG, SOURCE:@NUMBER or SOURCE:@DIGEST",
    "name-or-pull": "name all of it, REGISTRY/NAME:TAG; or for files: notarypy pull {source} {destination}",
    "pull-into-files": "fetch it with: notarypy pull {source} {destination}",
    "push-from-files": "send it with: notarypy push {source} {destination}; to sign it: notarypy sign --push",
    "push-with-current-tool": "push the image again with a current tool",
    "room-to-unpack": "free some space, set TMPDIR to a folder that has room, or unpack it first",
    "unpack": "unpack it first: {packed} -dc < {file} > {new}; and name {new}",
    # -- Dockerfiles, compose files, manifests and builders
    "name-build-file": "name it with {option}, or the folder that has it",
    "build-one-image": "leave out what keeps it from building one image",
    "give-argument": "give it one with {option} {name}=VALUE",
    "end-heredoc": "end the heredoc with a word that is no instruction, such as EOF",
    "give-build-args": "give each of them with --build-arg",
    "give-build-file": "give notarypy --file FILE",
    "install-buildx": (
        "install docker's plugin for it (docker-buildx in Debian and Ubuntu), or take another --builder"
    ),
    "install-program": "install {program}",
    "name-context-last": "name it as the last argument",
    "name-context-option": "name it with --context",
    "name-dockerfile": "name the Dockerfile with --file",
    "name-earlier-stage": "name one that comes before",
    "name-platform": "name the platform with --platform",
    "name-stage": "give the image a stage: FROM IMAGE AS NAME",
    "preprocess": "run the preprocessor before",
    "push-then-sign": "push it, then: notarypy sign REF",
    "say-format": "say what it is with --format",
    "see-builder-output": "see what it says above",
    "take-buildx": "take --builder buildx",
    "take-buildx-or-name": "take --builder buildx, or another name",
    "take-buildx-or-pin": (
        "take --builder buildx, or run the builder yourself after: notarypy pin --in-place FILE"
    ),
    "take-buildx-or-platform": "take --builder buildx, or one --platform",
    "take-buildx-or-push": "take --builder buildx, or push and run: notarypy sign REF",
    "take-buildx-or-rewrite": "write it in another way, or take --builder buildx",
    "write-from": "write it in the Dockerfile: --from takes the place of its first image",
    "write-one-piece": "write it in one piece",
    "write-plain-names": "write the names of images without quotes and escapes",
    "write-short-options": "write short options apart: -t NAME -q",
    "write-syntax": "write # syntax= in the Dockerfile",
    "write-without": "write it without",
    # -- docker-trust and notary
    "answer-yes": "answer yes if this is what you want",
    "choose-plugin-name": "choose another",
    "copy-plugin": "use docker-trust itself, the program beside notarypy",
    "list-targets": "see which there are: notary list {gun}",
    "give-waiting-stream": "hand over a stream that waits, or one with a file descriptor",
    "room-to-keep": "free some space, or set TMPDIR to a folder that has room",
}
# For errors that bring no advice of their own; for exit code 2 it is the command's help.
_OF_CODE = {
    **placeadvice.OF_CODE,
    "build.failed": "see what the builder says above; nothing was signed",
    "key.unsupported": "give an ECDSA or RSA key in PEM, as openssl, docker or Go notary write it",
    "local.exists": "use what is there, or remove that first",
    "local.storage": "see that it is there, and that you may read and write it",
    "net.limit": "ask the operator of the server: no honest answer is that long",
    "net.timeout": "try again, or give it more time: --timeout SECONDS",
    "publish.refused": "ask the operator of the Notary server about the reason above",
    "trust.malformed": "do not use it, and tell whoever made it",
    "trust.rollback": "do not use it, and ask the server's operator whether an old backup was restored",
    "usage.build_file": "mend it there, or leave that file out",
    "usage.config": "correct that value, or leave it out",
}
_OF_EXIT_CODE = {
    1: "run it again with -vv to see what it did before",
    3: "look at the name, and at what there is",
    4: "do not use it, and tell the owner of the repository",
    5: "ask the owner of the repository to sign it again",
    6: "see the keys that are here: notarypy key list",
    7: "check the login for this server",
    8: "check the address of the server and the network, then try again",
    9: "try again, or allow more time with --retry-for",
    10: "ask the missing signer or the owner of the repository",
    11: "compare the root with the repository's owner, and pin it; or trust it unseen: --first-use",
    12: "see whether the names and the trust directory are those that you mean",
}
_USAGE, _CLIENT_ERRORS, _SERVER_ERRORS = 2, range(400, 500), range(500, 600)


def text_of(given: Advice, other: Mapping[str, str] = _NONE) -> str:
    """Return the text of an advice; `other` texts are those of a program with other words."""
    values = {key: text_of(it, other) if isinstance(it, Advice) else it for key, it in given.values.items()}
    return (other.get(given.name) or TEXTS[given.name]).format_map(values)


def own_advice(error: NotarypyError, other: Mapping[str, str] = _NONE) -> str:
    """Return the text of the advice that an error carries; nothing if it carries none."""
    if error.advice is None:
        return ""
    try:
        text, file = text_of(error.advice, other), error.facts.get("file")
    except KeyError:  # rule 3
        return ""
    return keyadvice.naming(error.advice.name, text, file) if isinstance(file, str) else text


def advice(error: NotarypyError, command: str | None = None) -> str:
    """Return what to do about an error: its own advice, or else what helps with its kind."""
    return own_advice(error) or _usual(error, command)


def _usual(error: NotarypyError, command: str | None) -> str:
    """Return what helps with errors of its kind: by code, by what a server answered, by exit code."""
    if said := _OF_CODE.get(error.code) or _of_status(error):
        return said
    if error.exit_code == _USAGE:
        return f"see {' '.join(filter(None, ('notarypy', command)))} --help"
    return _OF_EXIT_CODE.get(error.exit_code, "")


def _of_status(error: NotarypyError) -> str:
    """Return what to do about what a server answered; nothing for errors of another kind."""
    host, status = error.facts.get("host"), error.facts.get("status")
    if error.code != "net.server" or not host or not isinstance(status, int):
        return ""
    if status in _SERVER_ERRORS:
        return f"try again later; if it stays so, ask the operator of {host}"
    return f"ask the operator of {host} about that answer" if status in _CLIENT_ERRORS else ""
