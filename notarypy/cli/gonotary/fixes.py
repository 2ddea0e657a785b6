"""What to do about an error, in the words of the program `notary`.

What it is: the advice of notarypy for whoever has this program's commands and options. What it is not: other
advice: what is not here is said as ever (`cli.text.advice`).

Rules:

1. What this program can do is said with its commands and options. `{program}` is its name on this line, with
   the options of the line: without them it would work with other files.
2. A command that only notarypy has is named with the options that make it work on the same server, files and
   literal names; without them it would look elsewhere.
3. A passphrase is asked for in Go notary's variable.
4. An error that brings no advice has what helps with its kind.
5. A pin that a person is to write down is the id that a key has in the root itself: Go notary, which reads
   the same file, takes no other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from notarypy.cli.text import publishadvice
from notarypy.cli.text.advice import own_advice
from notarypy.client.parameters import FirstUseWarning
from notarypy.keys.passphrases import notarys_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from notarypy.errors import Advice, NotarypyError

TEXTS: Mapping[str, str] = {
    **{name: text.replace("notary ", "{program} ") for name, text in publishadvice.STAGED.items()},
    # -- servers and settings
    "choose-trust-dir": "name a directory of your own with -d",
    "give-time": "try again; or give it more time: notarypy --timeout TIME notary",
    "init": (
        "see whether the name is right, and name the Notary server that has it: -s URL; only if you publish "
        "it: {program} init -p {gun}"
    ),
    "init-first": "the first time: {program} init -p {gun}; if it is elsewhere, name the server: -s URL",
    "init-hub": "name the server that has it: -s URL; to make it on one of yours: {program} init -p {gun}",
    "log-in-azure-registry": "log in: notarypy login {host} --azure, or notarypy login {host}",
    "log-in": "set NOTARY_AUTH to USER:PASSWORD in base64; or log in: notarypy login {host}",
    "name-notary": "name the Notary server: -s URL, or url in remote_server of the configuration file",
    "name-server": "name one with -s",
    "set-home": "name a directory of your own: export HOME=/home/NAME; or -d DIR",
    "sign-together": "publish all of it at once, or give it more time: notarypy --retry-for TIME notary",
    # -- trust
    "forget": (
        "name the right server: -s URL; else ask its operator; to publish it again from what is known here: "
        "notarypy republish {gun}; to take it for a new one: {program} delete {gun}"
    ),
    "pin-first-root": (
        "compare the root with the owner, then pin it: trust_pinning.certs in the configuration file"
    ),
    "restore-or-forget": (
        "restore it from a backup; or compare the root with its owner, then {program} delete {gun}"
    ),
    "pin-or-remove": "restore it; or put its owner's pin into trust_pinning.certs, and remove the file",
    "inspect-tags": "see what there is: {program} list {gun}",
    "list-delegations": "{program} delegation list {gun}",
    "list-targets": "see which there are: {program} list {gun}",
    "lower-threshold": "let more keys sign for it: {program} delegation add GUN ROLE CERT",
    "over-limits": "have it made smaller: notarypy revoke or delegate remove with --over-limits",
    # -- keys
    "add-server-managed": "add --server-managed: the server makes it and keeps it",
    "choose-root-key": "choose one: {program} init --rootkey FILE GUN",
    "encrypt-elsewhere": "move it out of the trust directory, then: {program} key import NEW-PLACE",
    "export-key-first": (
        "export it first: {program} key export --key ID -o FILE; then: notarypy key remove --force ID"
    ),
    "give-exported": "import private keys that are PEM, or what {program} key export wrote",
    "hand-over-snapshot": (
        "let its owner publish; or hand it over, where the root key is: "
        "{program} key rotate {gun} snapshot -r"
    ),
    "import-role-keys": "run this where they are, or take them over: {program} key import FILE",
    "import-root-key": "run this where it is, or take it over: {program} key import FILE -r root",
    "import-these-keys": "run this where these keys are, or take them over: {program} key import FILE",
    "list-keys": "see them with: {program} key list",
    "load-base-key": "ask an owner to do it, or take over one of these keys: {program} key import FILE",
    "load-pinned-root": "import the key that the pin names: {program} key import FILE -r root; or change it",
    "load-role-key": (
        "take over one of these keys: {program} key import FILE; or ask an owner to let yours sign: "
        "{program} delegation add {gun} ROLE CERT"
    ),
    "load-key": "import it with: {program} key import FILE",
    "note-uri": "note where it is: {program} key import URI -r ROLE",
    "rotate-signer": (
        "a key of a delegation: {program} delegation add GUN ROLE CERT, "
        "then {program} delegation remove GUN ROLE ID"
    ),
    "sign-in-parts": "run this where enough of them are, or take them over: {program} key import FILE",
    "store-key": "import it: {program} key import FILE -r ROLE",
    # -- passphrases
    "choose-other-passphrase": "set NOTARYPY_NEW_PASSPHRASE to another one",
    "give-file-passphrase": "give the passphrase that the file has: set {variable}",
    "set-delegation-passphrase": "give the passphrase of this key in {variable}",
    "set-new-passphrase": "set NOTARYPY_NEW_PASSPHRASE, or run it at a terminal",
    "set-passphrase": "set {variable}",
    "set-pin": "set {variable}, or name a file with pin-source in the URI",
    "set-root-passphrase": "give the passphrase of this root key in {variable}, not another key's",
    "set-snapshot-passphrase": "give in {variable} the passphrase this snapshot key was made with",
    "set-targets-passphrase": "give in {variable} the passphrase this targets key was made with",
}
_CONFIG = "mend that file, or name another one: -c FILE"
_OF_EXIT_CODE = {
    1: "run it again with -D to see what it did before",
    3: "look at the name, and at the server that is asked",
    4: "do not use it, and tell the owner of the repository",
    5: "ask the owner of the repository to sign it again",
    6: "see the keys that are here: {program} key list",
    7: "check NOTARY_AUTH, or docker's login for this server",
    8: "check the address of the server, -s URL, and the network, then try again",
    9: "try again",
}
_PASSPHRASES = frozenset(name for name in TEXTS if name.endswith("-passphrase"))
_ROOTS = re.compile(r"--root [0-9a-f]{64}(?: --root [0-9a-f]{64})*")
_PIN = "in trust_pinning.certs of the configuration file,"
_NO_GUN = re.compile(r" --gun(?= (?:key|login) )")  # these are not about a repository
_PROGRAM, _NATIVE = re.compile(r"\bnotarypy notary(?= [a-z])"), re.compile(r"\bnotarypy (?=[a-z])(?!notary )")


def of_warning(text: str, program: str) -> str:
    """Return a warning in the words of this program, which has no option for pins (rule 5)."""
    keys = text.keys if isinstance(text, FirstUseWarning) else ()
    text = _PROGRAM.sub(lambda _: program, text)
    for canonical, keyid in keys:
        text = text.replace(canonical, keyid)
    return _ROOTS.sub(lambda found: f"{_PIN} {found[0].replace('--root ', '')}", text)


def text(error: NotarypyError, program: str, options: str) -> str:
    """Return what to do about an error; `options` are those that notarypy's own commands take (rule 2)."""
    given = error.advice
    if given is not None and given.name in _PASSPHRASES:
        found = TEXTS[given.name].format_map({**given.values, "variable": _variable(error, given)})
    else:
        config = _CONFIG if "config" in error.facts else ""
        usual = _OF_EXIT_CODE.get(error.exit_code, "").format(program=program)
        found = own_advice(error, _texts(program)) or config or usual
    found = _NATIVE.sub(lambda _: f"notarypy {options} " if options else "notarypy ", found)
    return _PROGRAM.sub(lambda _: program, _NO_GUN.sub("", found))


def _texts(program: str) -> dict[str, str]:
    """Return the texts of advice that this program has, also for advice inside of other advice."""
    literally = program.replace("{", "{{").replace("}", "}}")
    return {name: text.replace("{program}", literally) for name, text in TEXTS.items()}


def _variable(error: NotarypyError, given: Advice) -> object:
    """Return Go notary's variable for the passphrase that an error is about (rule 3)."""
    role, tried = error.facts.get("role"), error.facts.get("tried")
    if isinstance(role, str) and role:
        return notarys_variable(role)
    names = tried if isinstance(tried, list | tuple) else ()
    gos = (name for name in names if isinstance(name, str) and name.startswith("NOTARY_"))
    return next(gos, None) or given.values.get("variable")
