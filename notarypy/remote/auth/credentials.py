"""Credentials, the keychain that looks for them in one place after the other, and helper programs.

What it is: the values, the order, and the words of docker's protocol to a `docker-credential-NAME`: `get` and
`erase` with the server's name on standard input, `store` with a login. What it is not: the places themselves,
but for the variable `NOTARY_AUTH` (`dockerconfig` has the others and chooses helpers), nor what is sent to
whom (`tokens`).

Rules:

1. Sources are asked in order, and only when a server wants to know; the first that knows a name wins. Only
   when none knows a server's own name its other names are looked for. A source that is there but cannot be
   understood is an error.
2. A registry token is for one server alone: it is never found by another server's name.
3. No repr, no error and no log shows a secret.
4. A helper's name is letters, digits, `.`, `_` and `-`, so that it names no path. The program is found in the
   absolute directories of PATH, and started without a shell, with the whole environment.
5. A helper says with its text for it, or with an answer that is empty, that it knows nothing; everything
   else that is not an answer is an error, and never taken for "anonymous".
6. What a helper writes may be a secret, whether it fails or not: it is never shown, its standard error not
   even read.
7. It may ask its user something, so it gets the terminal; but not more time than one request.
8. White space around the password in NOTARY_AUTH is no part of it, as for Go notary: that is how
   `echo USER:PASSWORD | base64` makes it. In docker's and podman's files it is, as it is for these.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from notarypy.errors import Advice, AuthenticationError, ConfigurationError
from notarypy.limits import DEFAULT
from notarypy.remote.http.messages import json_object
from notarypy.values import dataclass, field, replace

Kind = Literal["password", "identity", "bearer"]
HUB = "docker.io"
HUB_SERVER = "https://index.docker.io/v1/"  # as docker and its helpers call it
_HUB_NAMES = frozenset({HUB, "index.docker.io", "registry-1.docker.io", "notary.docker.io"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NOT_FOUND = b"credentials not found in native keychain"
_ANSWER = "the answer to the question for it"
_TOKEN_USER = "<token>"  # noqa: S105 - the word by which helpers say that their secret is an identity token
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Credential:
    """A user, empty for a registry token, and a secret; the source is the place it is from, for error texts.

    An `identity` token is traded for access tokens; a `bearer`, a registry token, is one itself.
    """

    user: str
    secret: str = field(repr=False)
    source: str
    kind: Kind = "password"


def owner(credential: Credential | None) -> dict[str, object]:
    """Return whose a credential is and where it is from, as the facts of errors have it."""
    user, source = (credential.user, credential.source) if credential else (None, None)
    return {"user": user, "source": source}


class CredentialSource(Protocol):
    """One place that may know credentials."""

    name: str

    def get(self, host: str, path: str = "") -> Credential | None:
        """Return what is known for a host, named `host` or `host:port`, and a repository on it."""


class Keychain:
    """Sources in their order, and maybe whom to ask; an empty keychain stays anonymous."""

    def __init__(
        self,
        sources: Sequence[CredentialSource] = (),
        ask: Callable[[], tuple[str, str] | None] | None = None,
    ) -> None:
        self._sources, self._ask = tuple(sources), ask
        self._answer: Credential | None = None

    def asked(self) -> Credential | None:
        """Return the login that somebody gives who is asked, once; None if there is nobody, or no answer."""
        ask, self._ask = self._ask, None
        if ask is not None and (found := ask()) is not None:
            self._answer = Credential(*found, _ANSWER)
        return self._answer

    def instead_of(self, refused: Credential | None) -> Credential | None:
        """Return what somebody gives who is asked, for none or a refused login, but that of NOTARY_AUTH."""
        if refused is not None and refused.source in {NotaryAuth.name, _ANSWER}:
            return None
        _LOG.debug("the login from %s is refused", refused.source if refused else "nowhere")
        return self.asked()

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the sources, for error texts."""
        return tuple(source.name for source in self._sources)

    def find(self, hosts: Sequence[str], path: str = "") -> Credential | None:
        """Return the answer, or the first credential for a server, by its names, and a repository on it."""
        if self._answer is not None:
            return self._answer
        for host in hosts:
            for source in self._sources:
                found = source.get(host, path)
                if found is not None and (found.kind != "bearer" or host_key(host) == host_key(hosts[0])):
                    _LOG.debug("a login of kind %s for %s is in %s", found.kind, host, source.name)
                    return found
        _LOG.debug("no login for %s is in %s", " or ".join(hosts), ", ".join(self.places) or "any place")
        return None


class NotaryAuth:
    """The variable NOTARY_AUTH, base64 of `user:password`: for the Notary server, whatever its name."""

    name = "NOTARY_AUTH"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._value = environ.get(self.name, "")

    def get(self, host: str, path: str = "") -> Credential | None:  # noqa: ARG002 - for whichever is configured
        """Return the variable's credential; shells put a line's end behind the password (rule 8)."""
        if not self._value.strip():
            return None
        found = decoded(self._value, self.name)
        return replace(found, secret=found.secret.strip())


def decoded(text: str, source: str) -> Credential:
    """Read base64 of `user:password`; raise ConfigurationError for anything else."""
    try:
        user, colon, secret = base64.b64decode("".join(text.split()), validate=True).decode().partition(":")
    except ValueError:
        user, colon, secret = "", "", ""
    if not colon or not user:
        raise ConfigurationError(
            f"{source} holds a credential that is not base64 of user:password",
            advice=Advice("mend-login", source=source),
        )
    return Credential(user, secret.strip("\x00"), source)


def host_key(name: str) -> str:
    """Reduce the ways to write a registry's name to one, without scheme, path and port 443."""
    host = name.lower().removeprefix("https://").removeprefix("http://").partition("/")[0]
    host = host.removesuffix(":443")
    return HUB if host in _HUB_NAMES else host


@dataclass(frozen=True)
class Helper:
    """One helper: what comes after `docker-credential-`, and the file that names it, for error texts."""

    name: str
    config: str
    environ: Mapping[str, str] = field(repr=False)
    timeout: float = 60.0

    @property
    def program(self) -> str:
        """The program's file name."""
        return f"docker-credential-{self.name}"

    def get(self, server: str) -> Credential | None:
        """Return what the helper knows for a server, named as docker names it (rule 5)."""
        code, output = self._run("get", server, server)
        if code != 0 and _NOT_FOUND in output.lower():
            return None
        if code != 0:
            raise self._failed(server, _ended(code))
        return self._read(server, output)

    def store(self, server: str, user: str, secret: str) -> None:
        """Have the helper keep a login; raise AuthenticationError if it does not."""
        self._change("store", server, json.dumps({"ServerURL": server, "Username": user, "Secret": secret}))

    def erase(self, server: str) -> None:
        """Have the helper forget a login; raise AuthenticationError if it does not."""
        self._change("erase", server, server)

    def _change(self, verb: str, server: str, text: str) -> None:
        code, _ = self._run(verb, server, text)
        if code != 0:
            raise self._failed(server, _ended(code), verb)

    def _read(self, server: str, output: bytes) -> Credential | None:
        answer = json_object(output) if len(output) <= DEFAULT.helper_answer_bytes else None
        if answer is None:
            raise self._failed(server, "its answer is no JSON object")
        user, secret = answer.get("Username", ""), answer.get("Secret", "")
        if user == secret == "":
            return None
        if not (isinstance(user, str) and isinstance(secret, str) and user and secret):
            raise self._failed(server, "its answer lacks a user or a secret")
        source = f"{self.program} (named in {self.config})"
        return Credential(user, secret, source, "identity" if user == _TOKEN_USER else "password")

    def _run(self, verb: str, server: str, text: str) -> tuple[int, bytes]:
        """Run the program with a text for its input (rule 4)."""
        import shutil  # what runs programs is loaded only for a helper
        import subprocess

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
        _LOG.debug("%s: %s for %s", found, verb, server)
        try:
            done = subprocess.run(  # noqa: S603 - the user's own program, by a name without a path
                [found, verb],
                input=text.encode(errors="surrogatepass"),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(self.environ),
                timeout=self.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            # Without its cause: that has what the helper wrote so far.
            raise self._failed(server, f"it did not answer within {self.timeout:g} seconds", verb) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its environment cannot be used"
            raise self._unusable("cannot be started", reason) from None
        return done.returncode, done.stdout

    def _unusable(self, what: str, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"the credential helper {self.program} {what}",
            why=(reason, f"{self.config} names it"),
            advice=Advice("install-helper", program=self.program, config=self.config),
            config=self.config,
            helper=self.program,
        )

    def _failed(self, server: str, reason: str, verb: str = "get") -> AuthenticationError:
        what = {"get": "gave no credentials for", "store": "did not store the login for"}
        advice = Advice("run-helper", server=server, program=self.program)
        if verb != "get":
            advice = Advice("look-at-helper", server=server, program=self.program)
        return AuthenticationError(
            f"the credential helper {self.program} {what.get(verb, 'did not erase the login for')} {server}",
            why=(f"{reason}; what it wrote may be secret and is not shown", f"{self.config} names it"),
            advice=advice,
            host=server,
            config=self.config,
            helper=self.program,
            source=self.config,
            **dict.fromkeys(("asked", "granted", "user")),
        )


def _ended(code: int) -> str:
    return f"it ended with status {code}" if code > 0 else f"it was killed by signal {-code}"
