"""What refers to the manifests of a repository: the lists of OCI 1.1, asked for, added to, and made up for.

What it is: one list at a time, from the registry's API or from the tag that stands in for it. What it is not:
a judgement of what is listed, or reading it.

Rules:

1. The API has it if it answers with an index. Any other answer, but for a server that fails or is busy, says
   that there is no API: 404 as text (distribution) or as JSON (GHCR, GitLab, ECR), 400 (Quay), 405, 406
   (Artifactory before 7.90), 501, 401 or 403 (a firewall that does not know the path), a page with 200. Who
   may not read the repository hears that at the tag.
2. Where the API has it, the tag is not looked at: no other client does. But some answer with an empty index
   and have no API (seen by sigstore-js), so that an empty list counts only where another one was seen, or
   where a filter is applied: that is asked once for each repository.
3. Of a link to the next page only the query is followed, of the same list. Pages and entries are limited.
4. A manifest is put first, then listed. The registry lists it if it says `OCI-Subject` and its API has it:
   ECR said so before it had an API. Otherwise it is added to the list at the tag.
5. That list is read, changed, written, and read back, until it has the entry: somebody else may have written
   at the same moment. Whoever writes over ours after that is noticed by the next run. Threads of ours take
   turns.
6. What a registry does not have is remembered for its repository. Not 400, which Quay says of one image, nor
   401, 403, and 404 of a repository that is not there yet.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from notarypy.errors import (
    Advice,
    AuthenticationError,
    ConflictError,
    ImageMissingError,
    MetadataError,
    NotFoundError,
    ResponseLimitError,
    ServerError,
    UnconfirmedPublishError,
    VerificationError,
)
from notarypy.images import manifests, referrerlist
from notarypy.images.referrerlist import ReferrerList
from notarypy.remote.http.messages import Request, Response
from notarypy.remote.http.transport import RequestPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notarypy.images.layout import Descriptor
    from notarypy.remote.registry.registry import RegistryClient

TRIES = 5
_NOTHING = "application%2Fvnd.notarypy.nothing"  # a type that nothing has
# What a registry says that takes no manifest with a subject, or none of another type than an image's.
_NO_SUBJECTS = frozenset({400, 405, 406, 415, 422})
_NEXT = re.compile(r'<([^<>]*)>[^,]*;\s*rel="?next"?', re.IGNORECASE)
_LOG = logging.getLogger(__name__)


class Referrers:
    """The lists of one repository; what is found out about its API is kept with the registry."""

    def __init__(self, registry: RegistryClient, path: str) -> None:
        self._registry, self._path = registry, path
        self._limits, self._quirks = registry.exchange.limits, registry.quirks(path)

    def of(self, digest: str) -> ReferrerList:
        """Return what refers to a manifest, in the order of the list (rules 1 to 3); it may be nobody's.

        Raises:
            AuthenticationError, NetworkError: As their names say.
        """
        listed = None if self._quirks.lists_referrers is False else self._asked(digest)
        if listed is not None and (listed.entries or listed.more or self._counts(digest)):
            return listed
        try:
            there = self._at_tag(digest)
            return ReferrerList() if there is None else referrerlist.at_tag(there, digest, self._limits)
        except (MetadataError, ResponseLimitError) as error:
            _LOG.debug("%s/%s has no list of referrers at its tag: %s", self._host, self._path, error)
            return ReferrerList(more=isinstance(error, ResponseLimitError))

    def put(self, data: bytes, media_type: str = manifests.OCI_MANIFEST) -> Descriptor:
        """Store a manifest with a subject under its digest, and have it listed (rules 4 and 5).

        Raises:
            ConflictError: Others kept writing the list at the tag.
            MetadataError: The list at the tag is none, or would be too long; the manifest is there.
            ServerError: It refuses the manifest, or the list.
            UnconfirmedPublishError: It lists others, and not this, or takes the tag for the image.
        """
        entry, subject = referrerlist.entry_of(data, media_type, self._limits), referrerlist.subject_of(data)
        if subject is None:
            raise TypeError("a manifest without a subject refers to nothing")
        try:
            answer = self._registry.put_manifest(self._path, entry.digest, data, media_type)
        except ServerError as error:
            if error.facts.get("status") in _NO_SUBJECTS:
                error.advice = Advice("choose-classic-form")
            raise
        if "oci-subject" in answer.headers:
            if self._is_listed(subject.digest, entry.digest):
                return entry
            self._refuse_unlisted(subject.digest, entry)
        with self._registry.turn(f"{self._path}:{referrerlist.tag_of(subject.digest)}"):
            self._list(subject.digest, entry)
        return entry

    # -- the API

    @property
    def _host(self) -> str:
        return self._registry.host

    def _asked(self, digest: str) -> ReferrerList | None:
        """Return what the API lists, None if there is none (rules 1 and 3)."""
        found, query, seen = ReferrerList(), "", set[str]()
        while len(seen) < self._limits.referrer_pages:
            seen.add(query)
            page, following = self._page(digest, query, len(found.entries) + found.others)
            if page is None:
                return found + ReferrerList(more=True) if query else None
            found += page
            if following is None or found.more or following in seen:
                break
            query = following
        else:
            found += ReferrerList(more=True)
        if found.entries:
            self._quirks.lists_referrers = True
        return found

    def _counts(self, digest: str) -> bool:
        """Tell whether an empty list of the API counts; that it filters is asked once (rule 2)."""
        quirks = self._quirks
        if not (quirks.lists_referrers or quirks.filter_asked):
            quirks.filter_asked = True
            with suppress(NotFoundError, AuthenticationError, ServerError):
                answer = self._ask(digest, f"artifactType={_NOTHING}")
                applied = answer.headers.get("oci-filters-applied", "").lower()
                quirks.lists_referrers = True if answer.is_success and "artifacttype" in applied else None
        return bool(quirks.lists_referrers)

    def _ask(self, digest: str, query: str) -> Response:
        url = f"referrers/{digest}" + (f"?{query}" if query else "")
        limits = self._limits
        policy = RequestPolicy(limits.manifest_bytes, limits.redirects, allow_cross_origin=True)
        request = Request("GET", url, {"Accept": manifests.OCI_INDEX})
        return self._registry.ask(self._path, request, policy=policy)

    def _page(self, digest: str, query: str, before: int) -> tuple[ReferrerList | None, str | None]:
        """Return a page of the API's list, if there is one, and the query that leads to the next."""
        try:
            answer = self._ask(digest, query)
            if answer.status == HTTPStatus.OK:
                page = referrerlist.read_list(answer.body, self._limits, before)
                return page, _following(answer.headers.get("link", ""))
            why, known = f"it answered {answer.status}", answer.status != HTTPStatus.BAD_REQUEST
        except ResponseLimitError:
            return ReferrerList(more=True), None
        except (NotFoundError, AuthenticationError, ServerError) as error:
            if isinstance(error, ServerError) and not _says_no_api(error):
                raise
            why, known = error.message, not isinstance(error, AuthenticationError)
            known = known and error.facts.get("server_code") != "NAME_UNKNOWN"
        except MetadataError as error:
            why, known = error.message, True
        _LOG.debug("%s has no API for referrers of %s: %s", self._host, self._path, why)
        if known and not query and not self._quirks.lists_referrers:
            self._quirks.lists_referrers = False
        return None, None

    def _is_listed(self, subject: str, digest: str) -> bool:
        """Tell whether the API has a manifest; some take a moment."""
        for attempt in range(1, TRIES + 1):
            listed = self._asked(subject)
            if listed is None or listed.has(digest):
                return listed is not None
            if listed.more:
                return False
            self._registry.exchange.pause(attempt)
        return False

    def _refuse_unlisted(self, subject: str, entry: Descriptor) -> None:
        """Raise UnconfirmedPublishError where the API counts, which does not list an entry (rule 2)."""
        if self._quirks.lists_referrers:
            raise UnconfirmedPublishError(
                f"{self._host} took what refers to an image, and does not list it",
                why=f"{entry.digest} is not among the referrers of {subject} that were read",
                host=self._host,
            )

    # -- the list at the tag

    def _at_tag(self, subject: str) -> bytes | None:
        """Return what is at the tag of a subject, None if there is no such tag."""
        try:
            return self._registry.document(self._path, referrerlist.tag_of(subject)).body
        except ImageMissingError:
            return None

    def _list(self, subject: str, entry: Descriptor) -> None:
        """Add an entry to the list at the tag (rule 5)."""
        tag = referrerlist.tag_of(subject)
        for attempt in range(1, TRIES + 1):
            there = self._at_tag(subject)
            with at_tag(self._registry, self._path, tag):
                made = referrerlist.with_entry(there, subject, entry, self._limits)
            if made != there:
                put_at_tag(self._registry, self._path, tag, made, manifests.OCI_INDEX)
            listed = self.of(subject)
            if listed.has(entry.digest):
                _LOG.debug("%s/%s:%s lists %s", self._host, self._path, tag, entry.digest)
                return
            self._refuse_unlisted(subject, entry)
            self._require_list(subject)
            self._registry.exchange.pause(attempt)
        raise ConflictError(
            f"{self._host}/{self._path}:{tag} does not keep what is written to it",
            why=(f"tried: {TRIES} times", "others write it too, or the registry does not let it change"),
            host=self._host,
        )

    def _require_list(self, subject: str) -> None:
        """Raise UnconfirmedPublishError where the tag leads to the subject whatever is put there."""
        there = self._at_tag(subject)
        if there is not None and referrerlist.is_subject(there, subject):
            raise UnconfirmedPublishError(
                f"{self._host} takes the tag {referrerlist.tag_of(subject)} for the image itself",
                why="it has no list of what refers to an image, and none can be kept at the tag for it",
                advice=Advice("choose-classic-form"),
                host=self._host,
            )


@contextmanager
def at_tag(registry: RegistryClient, path: str, tag: str) -> Iterator[None]:
    """Name the tag in what is raised about its content inside."""
    try:
        yield
    except VerificationError as error:
        error.why = (*error.why, f"it is at the tag {tag} of {registry.host}/{path}")
        raise


def put_at_tag(registry: RegistryClient, path: str, tag: str, data: bytes, media_type: str) -> None:
    """Store a manifest or index that is kept for an image, at a tag made of its digest."""
    try:
        registry.put_manifest(path, tag, data, media_type)
    except ServerError as error:
        if "immutable" in " ".join(error.why).lower():  # ECR and Harbor say so
            error.advice = Advice("except-from-immutable")
        raise


def _following(link: str) -> str | None:
    """Return the query of a link to the next page (rule 3)."""
    match = _NEXT.search(link)
    try:
        return (urlsplit(match[1]).query or None) if match else None
    except ValueError:
        return None


def _says_no_api(error: ServerError) -> bool:
    """Tell whether an error is an answer of a server that does not know the API (rule 1)."""
    status = error.facts.get("status")
    redirects = isinstance(status, int) and status < HTTPStatus.BAD_REQUEST
    return redirects or status == HTTPStatus.NOT_IMPLEMENTED
