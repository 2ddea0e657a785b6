"""Settings as Go notary finds them: its options, then its configuration file, then its defaults.

What it is: another way to `Settings`. What it is not: other settings: what Go notary has none of, such as
time limits, comes from options as ever.

Rules:

1. An option beats the configuration file, which beats the default. An empty option counts as not given. No
   variable of docker's names a server or a trust directory here.
2. The file is the one of the option, which must be there, or `~/.notary/config.json`, which need not. The
   defaults are `~/.notary` and `https://notary-server:4443`.
3. What is wrong with that file is an error whose fact `config` is its path. Half of a client certificate and
   its key may be there, and the other half be an option.
4. A root is trusted on first use unless the file forbids it.
5. Go notary knows no folder of docker's: certificates and logins there are an extra. What cannot be used of
   it stops nothing, unless DOCKER_CONFIG names it; where a CA is named no certificate is looked for there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from notarypy import files
from notarypy.errors import ConfigurationError
from notarypy.storage.settings import configfile
from notarypy.storage.settings.configfile import FileSettings
from notarypy.storage.settings.settings import SERVER_VARIABLE, Settings, load
from notarypy.values import replace

DEFAULT_SERVER = "https://notary-server:4443"
_HOME, _FILE = ".notary", "config.json"


def load_as_go(
    options: Mapping[str, object], environ: Mapping[str, str], home: Path | None = None
) -> Settings:
    """Join options, which are `GlobalOptions`, Go notary's configuration file and its defaults.

    Raises ConfigurationError. The home is by default this user's.
    """
    home = home or files.home(environ)
    given = {name: value for name, value in options.items() if value is not None and value != ""}
    config = Path(str(given.pop("config", home / _HOME / _FILE))).absolute()
    file = _file(config, home, named="config" in options and bool(options["config"]))
    trust_dir = given.pop("trust_dir", None) or file.trust_dir or home / _HOME
    first_use = given.pop("first_use", None) is not False
    named = "server" in given
    if not named and not any(table.server for table in file.registries.values()):
        given["server"] = DEFAULT_SERVER
    without = {name: value for name, value in environ.items() if name != SERVER_VARIABLE}
    given.update(trust_dir=trust_dir, first_use=first_use, config=config)
    try:
        found = load(given, without, home, file=file)
    except ConfigurationError as error:
        raise (
            error.saying(config=str(config)) if error.facts.get("path") == str(config) else error
        ) from None
    source = "--server" if named else f"the default (no --server, and no remote_server.url in {config})"
    return replace(found, server_source=source, docker_is_extra=True)


def _file(path: Path, home: Path, *, named: bool) -> FileSettings:
    try:
        return configfile.read(path, home)
    except ConfigurationError as error:
        raise error.saying(config=str(path)) from None
    except (FileNotFoundError, NotADirectoryError):
        if not named and not os.path.lexists(path):  # pins may be where a link leads
            return FileSettings()
        why = "No such file or directory"
    except OSError as error:
        why = error.strerror or "it cannot be read"
    raise ConfigurationError(
        f"cannot read the configuration file {path}", why=why, path=str(path), config=str(path)
    )
