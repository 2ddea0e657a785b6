"""`docker trust sign`, `revoke` and `inspect`.

What it is: docker's steps and docker's words around the client's calls. What it is not: the choice of roles
(`client.publish`), a conversation with a daemon (`remote.daemon`), or a verification of an image; `notarypy
verify` is.

Rules:

1. What is signed is what the registry serves for the tag, now. Only `--local` takes the image of a daemon: it
   is pushed, and exactly what was pushed is signed.
2. A repository without trust data gets some, and a signer named after the login for the registry, but only
   after the image was found.
3. Success is said after the server was read back, of a tag that is signed now, or that nothing releases any
   more.
4. What cannot be signed is not pushed: the keys are unlocked before the daemon is asked to push.
5. JSON has every image that could be read, `[]` if none could; text for people ends at the first that cannot.
6. What cannot be read is an error, with docker's line first and the reason after it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from notarypy.cli.dockertrust.shell import FailureError, Shell, error_text, image
from notarypy.cli.text import render
from notarypy.client.workers import Outcome, outcomes
from notarypy.errors import (
    Advice,
    ImageMissingError,
    InvalidNameError,
    KeyMissingError,
    KeyNotAuthorisedError,
    NotarypyError,
    RepositoryMissingError,
    TrustError,
)
from notarypy.tuf import roles
from notarypy.values import dataclass

if TYPE_CHECKING:
    from notarypy.cli.cobra import CommandLine
    from notarypy.client.api import Client
    from notarypy.client.results import Inspection, RevokedTag, SignedTag, TagEntry
    from notarypy.images.reference import Reference

_NO_KEY = "no valid signing keys for delegation roles"
_DIGEST = "cannot use a digest reference for IMAGE:TAG"


def sign(shell: Shell, line: CommandLine) -> None:
    """Sign one tag."""
    text = line.arguments[0]
    reference = image(text)
    if reference.digest is not None:
        raise FailureError(_DIGEST)
    if reference.tag is None:
        raise FailureError(f"no tag specified for {text}")
    with shell.client() as client:
        signing = _TagSigning(shell, client, text, reference, local=line.switch("local"))
        try:
            signing.run()
        except NotarypyError as error:
            raise FailureError(signing.failure(error)) from None
    shell.out(f"Successfully signed {reference}")


@dataclass
class _TagSigning:
    """One `sign`: the tag as it was written, and what it means."""

    shell: Shell
    client: Client
    text: str
    reference: Reference
    local: bool

    def run(self) -> None:
        """Sign, and print what docker prints before it says that it has succeeded."""
        try:
            existing = self._existing()
        except RepositoryMissingError:
            existing = None
            if self.local:  # nothing is pushed that nobody could sign (rule 4)
                if not self.client.images.has_local(self.text):
                    # which says what is missing: the image, or the daemon
                    self.client.images.push_local(self.text)
                self._initialise()
        if self.local:
            what = f"Signing and pushing trust data for local image {self.text}"
            self.shell.err(f"{what}, may overwrite remote trust data")
            (done,) = self.client.sign([str(self.reference)], local=True)
            self._published(done)
        elif existing is None:
            self._published(self._sign())
        else:
            self.shell.out(f"Signing and pushing trust metadata for {self.text}")
            self._resigned(existing, self._sign())

    def _existing(self) -> TagEntry | None:
        try:
            return next(iter(self.client.inspect(str(self.reference)).tags), None)
        except RepositoryMissingError:
            raise
        except TrustError:
            return None  # signing says what there is to say about it

    def _sign(self) -> SignedTag:
        try:
            (done,) = self.client.sign([str(self.reference)])
        except RepositoryMissingError:  # and the registry, which is asked first, has the image (rule 2)
            self._initialise()
            (done,) = self.client.sign([str(self.reference)])
        return done

    def _published(self, done: SignedTag) -> None:
        self.shell.out(f"{done.tag}: digest: {done.digest} size: {done.size}")
        self.shell.out("Signing and pushing trust metadata")
        self._changed(done)

    def _resigned(self, existing: TagEntry, done: SignedTag) -> None:
        digest = existing.digest.removeprefix("sha256:")
        self.shell.out(f"Existing signatures for tag {done.tag} digest {digest} from:")
        self.shell.out(", ".join(sorted(set(existing.signers) - {render.REPO_ADMIN})))
        if done.digest != existing.digest:
            self.shell.out(f"{done.tag}: digest: {done.digest} size: {done.size}")
        self._changed(done)

    def _changed(self, done: SignedTag) -> None:
        if done.previous is not None:
            self.shell.warn(f"{done.reference} was {done.previous}, now {done.digest}")
        for role in done.also_old:
            self.shell.warn(f"{role} still lists another digest for {done.reference}")

    def _initialise(self) -> None:
        """Give the repository trust data and a signer named after the login (rule 2)."""
        name = self._login()
        try:
            public = self.client.keys.public(name)
        except KeyMissingError:
            _, public = self.client.keys.generate(name)
        created = self.client.init(self.reference.repository, signer=name, keys=[public])
        if created.created:
            self.shell.out(f"Created signer: {name}")
            self.shell.out(f"Finished initializing signed repository for {self.text}")

    def _login(self) -> str:
        repository, program = self.reference.repository, self.shell.name
        name = self.client.login(str(self.reference))
        if name is None:
            registry = self.reference.registry
            message = f"{repository} has no trust data, and its first signer has no name"
            why = f"a signer is named after the login, and there is none for {registry}"
            advice = Advice(
                "docker-login-or-signer", registry=registry, program=program, repository=repository
            )
            raise KeyMissingError(message, why=why, advice=advice)
        try:
            roles.signer_role(name)
        except InvalidNameError as error:
            advice = Advice("docker-add-signer", program=program, repository=repository)
            message = f'the login "{name}" cannot be the name of a signer'
            raise InvalidNameError(message, why=error.why, advice=advice) from None
        return name

    def failure(self, error: NotarypyError) -> str:
        """Return what to print when it failed."""
        before = f"failed to sign {self.reference}: "
        if _lacks_signer(error):
            return f"{before}{_NO_KEY}\n{error_text(error, '  why: ')}"
        missing = isinstance(error, ImageMissingError)
        if missing and not self.local and self.client.images.has_local(self.text):
            error.why = (*error.why, "the docker daemon here has it")
            error.advice = Advice("docker-sign-local", program=self.shell.name, image=self.text)
        return error_text(error, before)


def _lacks_signer(error: NotarypyError) -> bool:
    """Tell whether no signer's key is here; the snapshot's is another matter."""
    return isinstance(error, KeyNotAuthorisedError) and error.facts.get("role") != roles.SNAPSHOT


def revoke(shell: Shell, line: CommandLine) -> None:
    """Take the signatures of a tag, or of all tags, away."""
    text = line.arguments[0]
    reference = image(text)
    if reference.digest is not None:
        raise FailureError(_DIGEST)
    question = f"Confirm you would like to delete all signature data for {text}?"
    sure = reference.tag is not None or line.switch("yes")
    if not sure and not shell.agreed(question, "add --yes if this is what you want"):
        return
    before = f"could not remove signature for {text}: "
    with shell.client() as client:
        try:
            tag = reference.tag
            done = client.revoke_all(reference.repository) if tag is None else client.revoke([str(reference)])
            _check_revoked(done)
        except NotarypyError as error:
            if _lacks_signer(error):
                raise FailureError(f"{before}{_NO_KEY}\n{error_text(error, '  why: ')}") from None
            raise FailureError(error_text(error, before)) from None
        except FailureError as failure:
            raise FailureError(f"{before}{failure}") from None
    shell.out(f"Successfully deleted signature for {text}")


def _check_revoked(done: Sequence[RevokedTag]) -> None:
    """Raise FailureError unless something was revoked that nothing releases any more (rule 3)."""
    if not done:
        raise FailureError("no signed tags to remove")
    if left := [tag for tag in done if tag.still_released]:
        where = sorted({role for tag in left for role in tag.still})
        why = f"{', '.join(where)} still lists it; no key of that is here"
        raise FailureError(f"{', '.join(tag.tag for tag in left)}: still released\n  why: {why}")


def inspect(shell: Shell, line: CommandLine) -> None:
    """Print what the trust data of some images says."""
    if not line.switch("pretty"):
        _document(shell, line.arguments)
        return
    with shell.client() as client, closing(_inspections(client, line.arguments)) as inspections:
        for number, found in enumerate(inspections, start=1):
            shell.write(render.docker_pretty(found.get()))
            shell.write("\n\n" if number < len(line.arguments) else "")


def _document(shell: Shell, texts: list[str]) -> None:
    found: list[Inspection] = []
    failed: list[str] = []
    try:
        with shell.client() as client, closing(_inspections(client, texts)) as inspections:
            for one in inspections:
                try:
                    found.append(one.get())
                except FailureError as failure:
                    failed.append(str(failure))
    except FailureError as failure:
        failed.append(str(failure))
    for part in render.docker_json(found):
        shell.write(part)
    shell.write("\n")
    if failed:
        raise FailureError("\n".join(failed))


def _inspections(client: Client, texts: Sequence[str]) -> Generator[Outcome[Inspection], None, None]:
    """Look at several images side by side."""
    return outcomes([partial(_inspection, client, text) for text in texts])


def _inspection(client: Client, text: str) -> Inspection:
    image(text)
    try:
        return client.inspect(text)
    except NotarypyError as error:
        line = f"no signatures or cannot access {text}"
        why = "" if isinstance(error, RepositoryMissingError) else f"\n{error_text(error, '  why: ')}"
        raise FailureError(f"{line}{why}") from None
