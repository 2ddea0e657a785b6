"""A publisher: signs tags one after the other in one process, and says of each when it began and ended.

It is run as a program of its own, so that it can be killed. Only what it has said counts: what was begun and
not ended, nobody knows.
"""

from __future__ import annotations

import sys

from notarypy import Client, NotarypyError


def say(*words: str) -> None:
    """Say it now: the next moment may be the last."""
    sys.stdout.write(f"{' '.join(words)}\n")
    sys.stdout.flush()


def main(references: list[str]) -> None:
    """Sign each, and say `begin`, then `signed` or the code of what went wrong."""
    client = Client.from_environment()
    for reference in references:
        say("begin", reference)
        try:
            client.sign([reference])
        except NotarypyError as error:
            say(error.code, reference)
        else:
            say("signed", reference)


if __name__ == "__main__":
    main(sys.argv[1:])
