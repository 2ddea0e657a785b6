"""Many images at once: repositories side by side, and the tags of each.

What it is: which images share what. What it is not: the verification of one (`image`), or threads
(`workers`).

Rules:

1. Each repository is refreshed once, however many of its images are named and wherever they stand. What there
   is to say of the repository comes with the first of them.
2. Outcomes come in the order of the references. What fails for one image ends no other.
3. The metadata of a repository is kept while its images are verified, and no longer.
"""

from __future__ import annotations

from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

from notarypy.client.verify.image import verify_unless_skipped
from notarypy.client.verify.sharing import MetadataCache, read_ahead
from notarypy.client.workers import Outcome, outcomes, unpacked
from notarypy.errors import NotarypyError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from notarypy.client.parameters import VerifyOptions
    from notarypy.client.session import Session
    from notarypy.client.verdicts import SkippedImage, VerifiedImage

    Found = Outcome[VerifiedImage | SkippedImage]


def verify_each(
    session: Session, texts: Sequence[str], options: VerifyOptions, cache: MetadataCache | None = None
) -> Generator[Found, None, None]:
    """Yield what `verify_unless_skipped` makes of each reference; `cache` is for other calls."""
    groups: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        groups.setdefault(_repository(session, text), []).append(number)
    if len(groups) == 1:
        yield from _group(session, texts, options, cache)
        return
    found: dict[int, Found] = {}

    def verified(numbers: Sequence[int]) -> list[Found]:
        return list(_group(session, [texts[number] for number in numbers], options, cache))

    with closing(outcomes([partial(verified, numbers) for numbers in groups.values()])) as done:
        members = iter(groups.values())
        for number in range(len(texts)):
            if number not in found:
                found.update(zip(next(members), unpacked(next(done)), strict=True))
            yield found.pop(number)


def _repository(session: Session, text: str) -> str:
    try:
        return session.gun(text)[0]
    except NotarypyError:
        return text  # it fails by itself


def _group(
    session: Session, texts: Sequence[str], options: VerifyOptions, cache: MetadataCache | None
) -> Generator[Found, None, None]:
    """Verify images of one repository (rule 1)."""
    cache = cache or MetadataCache()
    if len(texts) > 1:
        with suppress(NotarypyError):  # it is raised for each of them
            read_ahead(session, texts[0], options, cache)
    yield from outcomes(
        [partial(verify_unless_skipped, session, text, options, cache=cache) for text in texts]
    )
