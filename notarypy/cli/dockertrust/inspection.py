"""`docker trust inspect`: who signed what.

What it is: docker's document and docker's text for people. What it is not: a verification of
an image; `notarypy verify` is.

Rules:

1. JSON has every image that could be read, `[]` if none could; text for people ends at the
   first that cannot.
2. What cannot be read is an error, with docker's line first and the reason after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from notarypy.cli import render
from notarypy.cli.dockertrust.shell import FailureError, image, told
from notarypy.errors import NotarypyError, RepositoryMissingError

if TYPE_CHECKING:
    from notarypy.cli.dockertrust.grammar import Call
    from notarypy.cli.dockertrust.shell import Shell
    from notarypy.client.api import Client
    from notarypy.client.results import Inspection


def inspect(shell: Shell, call: Call) -> None:
    """Print what the trust data of some images says."""
    if call.switch("pretty"):
        with shell.client() as client:
            _pretty(shell, client, call.arguments)
    else:
        _document(shell, call.arguments)


def _document(shell: Shell, texts: list[str]) -> None:
    found: list[Inspection] = []
    failed: list[str] = []
    try:
        with shell.client() as client:
            for text in texts:
                try:
                    found.append(_inspection(client, text))
                except FailureError as failure:
                    failed.append(str(failure))
    except FailureError as failure:
        failed.append(str(failure))
    shell.write(render.docker_json(found) + "\n")
    if failed:
        raise FailureError("\n".join(failed))


def _pretty(shell: Shell, client: Client, texts: list[str]) -> None:
    for number, text in enumerate(texts, start=1):
        shell.write(render.docker_pretty(_inspection(client, text)))
        shell.write("\n\n" if number < len(texts) else "")


def _inspection(client: Client, text: str) -> Inspection:
    image(text)
    try:
        return client.inspect(text)
    except NotarypyError as error:
        line = f"no signatures or cannot access {text}"
        why = "" if isinstance(error, RepositoryMissingError) else f"\n{_reason(error)}"
        raise FailureError(f"{line}{why}") from None


def _reason(error: NotarypyError) -> str:
    return told(error, before="  why: ")
