"""Credential helpers: the programs `docker-credential-NAME` that keep logins out of files.

What it is: one question by docker's protocol, `get` with the server's name on standard input. What it is not:
the choice of a helper (`dockerconfig`).

Rules:

1. A name is letters, digits, `.`, `_` and `-`, so that it names no path. The program is found in the
   absolute directories of PATH, and started without a shell, with the whole environment.
2. A helper says with its text for it, or with an answer that is empty, that it knows nothing; everything
   else that is not an answer is an error, and never taken for "anonymous".
3. What a helper writes may be a secret, whether it fails or not: it is never shown, its standard error not
   even read.
4. It may ask its user something, so it gets the terminal; but not more time than one request.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from notarypy.errors import Advice, AuthenticationError, ConfigurationError
from notarypy.limits import DEFAULT
from notarypy.remote.auth.credentials import Credential

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOT_FOUND = b"credentials not found in native keychain"
_TOKEN_USER = "<token>"  # noqa: S105 - the word by which helpers say that their secret is an identity token


@dataclass(frozen=True)
class Helper:
    """One helper.

    Attributes:
        name: What comes after `docker-credential-`.
        config: The file that names it, for error texts.
        environ: Its environment.
        timeout: Seconds that it may take.
    """

    name: str
    config: str
    environ: Mapping[str, str] = field(repr=False)
    timeout: float = 60.0

    @property
    def program(self) -> str:
        """The program's name."""
        return f"docker-credential-{self.name}"

    def get(self, server: str) -> Credential | None:
        """Return what the helper knows for a server, named as docker names it.

        Raises:
            ConfigurationError: There is no such program.
            AuthenticationError: It failed, took too long or said something else.
        """
        code, output = self._run(server)
        if code != 0 and _NOT_FOUND in output.lower():
            return None
        if code != 0:
            ended = f"it ended with status {code}" if code > 0 else f"it was killed by signal {-code}"
            raise self._failed(server, ended)
        return self._read(server, output)

    def _read(self, server: str, output: bytes) -> Credential | None:
        """Read an answer (rule 2)."""
        try:
            short = len(output) <= DEFAULT.helper_answer_bytes
            answer = json.loads(output.decode()) if short else None
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self._failed(server, "its answer is no JSON object")
        user, secret = answer.get("Username", ""), answer.get("Secret", "")
        if user == secret == "":
            return None
        if not (isinstance(user, str) and isinstance(secret, str) and user and secret):
            raise self._failed(server, "its answer lacks a user or a secret")
        source = f"{self.program} (named in {self.config})"
        if user == _TOKEN_USER:
            return Credential(user, secret, source, "identity")
        return Credential(user, secret, source)

    def _run(self, server: str) -> tuple[int, bytes]:
        import subprocess

        try:
            done = subprocess.run(  # noqa: S603 - the user's own program, by a name without a path
                [self._path(), "get"],
                input=server.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(self.environ),
                timeout=self.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            # Without its cause: that has what the helper wrote so far.
            raise self._failed(server, f"it did not answer within {self.timeout:g} seconds") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its environment cannot be used"
            raise self._unusable("cannot be started", reason) from None
        return done.returncode, done.stdout

    def _path(self) -> str:
        """Find the program (rule 1)."""
        import shutil

        if _NAME.fullmatch(self.name) is None:
            raise ConfigurationError(
                f"{self.config} names a credential helper that cannot be used",
                why=f'"{self.name}" is not a name of letters, digits, ".", "_" and "-"',
                advice=Advice("name-helper", config=self.config),
                config=self.config,
                helper=self.name,
            )
        directories = self.environ.get("PATH", os.defpath).split(os.pathsep)
        places = [directory for directory in directories if Path(directory).is_absolute()]
        found = shutil.which(self.program, path=os.pathsep.join(places)) if places else None
        if found is None or not Path(found).is_absolute():
            raise self._unusable("is not here", "no directory of PATH has it")
        return found

    def _unusable(self, what: str, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"the credential helper {self.program} {what}",
            why=(reason, f"{self.config} names it"),
            advice=Advice("install-helper", program=self.program, config=self.config),
            config=self.config,
            helper=self.program,
        )

    def _failed(self, server: str, reason: str) -> AuthenticationError:
        return AuthenticationError(
            f"the credential helper {self.program} gave no credentials for {server}",
            why=(f"{reason}; what it wrote may be secret and is not shown", f"{self.config} names it"),
            advice=Advice("run-helper", server=server, program=self.program),
            host=server,
            config=self.config,
            helper=self.program,
            asked=None,
            granted=None,
            user=None,
            source=self.config,
        )
