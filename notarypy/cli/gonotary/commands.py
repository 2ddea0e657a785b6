"""The command line of Go's `notary`: the table of its commands, their help, and what a line means.

What it is: words in; out comes the command to run with its flags and arguments, or what to print instead.
What it is not: running it: the table names the functions. Names, words and flags are Go notary's; the
sentences are our own.

Rules:

1. Flags are read as `cobra` reads them; those of all commands may stand before the command, too.
2. `--help`, `-h`, `notary help COMMAND`, and a group of commands alone print help on standard output.
3. What is wrong with a line is a UsageError with Go notary's text, where it has one. A command that does not
   exist is one inside of a group, too, and as a topic of help, where Go notary prints help and exits with 0.
4. Arguments that Go notary leaves unread are left unread, with a warning; `most` of a command says how many
   it reads. The commands of `_EXACT` refuse others, as there.
"""

from __future__ import annotations

from collections.abc import Sequence

from notarypy.cli.cobra import (
    HELP,
    Answer,
    Command,
    CommandLine,
    Flag,
    FlagError,
    HelpWantedError,
    find,
    first_argument,
    flag_lines,
    inner_commands,
    parse,
)
from notarypy.errors import Advice, UsageError

GLOBALS = (
    Flag("configFile", "The configuration file; by default ~/.notary/config.json", "c", "string"),
    Flag("debug", "Show every decision on standard error", "D"),
    Flag("server", "The Notary server; by default https://notary-server:4443", "s", "string"),
    Flag("tlscacert", "The only CAs to trust for the server, a PEM file", kind="string"),
    Flag("tlscert", "A certificate to show to the server", kind="string"),
    Flag("tlskey", "Its private key", kind="string"),
    Flag("trustDir", "Keys and trust data; by default ~/.notary", "d", "string"),
    Flag("verbose", "Show on standard error what is done", "v"),
)
VERSION = Flag("version", "Print the version")
_GUN = "Must specify a GUN"
_TARGET = "Must specify a GUN and target"
_ADDED = "Must specify a GUN, target, and path to target data"
_HASHED = "Must specify a GUN, target, byte size of target data, and at least one hash"
_WITNESSED = "Please provide a GUN and at least one role to witness"
_DELEGATED = "must specify the Global Unique Name and the role of the delegation along with "
_TO_ADD = f"{_DELEGATED}the public key certificate paths and/or a list of paths to add"
_TO_REMOVE = f"{_DELEGATED}optional keyIDs and/or a list of paths to remove"
_TO_LIST = "Please provide a Global Unique Name as an argument to list"
_TO_PURGE = "Please provide a single Global Unique Name as an argument to remove"
_ROTATED = "Must specify a GUN and a key role to rotate"
_CHANGED = "must specify the key ID of the key to change the passphrase of"
_REMOVED = "must specify the key ID of the key to remove"
_IMPORTED = "must specify at least one input file to import keys from"
_GENERATED = "Please provide only one Algorithm as an argument to generate (rsa, ecdsa)"
_EXPORTED = "export does not take any positional arguments"

_PUBLISH = Flag("publish", "Publish at once, with what is staged already", "p")
_ADD_ROLES = Flag("roles", "Roles to list it in; by default targets", "r", "strings")
_REMOVE_ROLES = Flag("roles", "Roles to take it from; by default targets", "r", "strings")
_LIST_ROLES = Flag("roles", "Roles whose targets are listed, before others", "r", "strings")
_CUSTOM = Flag("custom", "A file with JSON to attach to the target", kind="string")
_ADDING = (_CUSTOM, _PUBLISH, _ADD_ROLES)
_HASHES = (
    Flag("sha256", "The SHA-256 of the target, in hex", kind="string"),
    Flag("sha512", "The SHA-512 of the target, in hex", kind="string"),
)
_ROOT = (
    _PUBLISH,
    Flag("rootcert", "The certificate of the root key", kind="string"),
    Flag("rootkey", "The root key: a PEM file, or the URI of a key elsewhere", kind="string"),
)
_RESET = (
    Flag("all", "Drop every staged change"),
    Flag("number", "Drop the changes with these numbers, as status shows them", "n", "ints"),
)
_VERIFY = (
    Flag("input", "Read this file, and not standard input", "i", "string"),
    Flag("output", "Write to this file, and not to standard output", "o", "string"),
    Flag("quiet", "Write nothing but errors", "q"),
)
_MORE_PATHS = (
    Flag("all-paths", "Let it sign targets of every name"),
    Flag("paths", "What the names of its targets may begin with", kind="strings"),
    _PUBLISH,
)
_FEWER_PATHS = (
    Flag("all-paths", "Take all paths from it"),
    Flag("paths", "Paths to take from it", kind="strings"),
    _PUBLISH,
    Flag("yes", "Do not ask", "y"),
)
_PURGE = (Flag("key", "Ids of the keys to remove", kind="strings"), _PUBLISH)
_EXPORT = (
    Flag("gun", "Repositories whose keys are exported", kind="strings"),
    Flag("key", "Ids of the keys to export", kind="strings"),
    Flag("output", "Write to this file, and not to standard output", "o", "string"),
)
_GENERATE = (
    Flag("output", "Write NAME.pem and NAME-key.pem, and store nothing", "o", "string"),
    Flag("role", "The role of the key; by default root", "r", "string"),
)
_IMPORT = (
    Flag("gun", "The repository of keys whose file does not say it", "g", "string"),
    Flag("role", "The role of keys whose file does not say it", "r", "string"),
)
_ROTATE = (
    Flag("key", "The new keys: PEM files, or URIs; by default one is made", "k", "strings"),
    Flag("legacy", "Sign with root keys of so many earlier versions, too; below 0 of all", "l", "int"),
    Flag("server-managed", "Let the server make and keep the key", "r"),
)
_SHORTER = (Flag("no-descriptions", "Leave out what each word does"),)
_HELP, _KEY, _DELEGATION, _COMPLETION = ("help",), ("key",), ("delegation",), ("completion",)
_D, _K, _C, _T = "delegationroles", "signingkeys", "trustedcollections", "targets"
COMMANDS = (
    Command((), "COMMAND", "Sign and verify content of any kind, by its name", "", (VERSION,)),
    Command(
        ("add",), "[ GUN ] <target> <file>", "Stage a file as a target", f"{_T}:add", _ADDING, 3, 3, _ADDED
    ),
    Command(
        ("addhash",),
        "[ GUN ] <target> <byte size> <hashes>",
        "Stage a target by its size and hashes",
        f"{_T}:addhash",
        (*_ADDING, *_HASHES),
        3,
        3,
        _HASHED,
    ),
    Command(_COMPLETION, "COMMAND", "Print what makes a shell complete command lines"),
    Command(
        (*_COMPLETION, "bash"), "", "What completes lines in bash", "notarycompletion:bash", _SHORTER, most=0
    ),
    Command(
        (*_COMPLETION, "fish"), "", "What completes lines in fish", "notarycompletion:fish", _SHORTER, most=0
    ),
    Command(
        (*_COMPLETION, "zsh"), "", "What completes lines in zsh", "notarycompletion:zsh", _SHORTER, most=0
    ),
    Command(_DELEGATION, "COMMAND", "Say who else may sign"),
    Command(
        (*_DELEGATION, "add"),
        "[ GUN ] [ Role ] <X509 file path 1> ...",
        "Stage a delegation, or more keys and paths of one",
        f"{_D}:add",
        _MORE_PATHS,
        2,
        None,
        _TO_ADD,
    ),
    Command(
        (*_DELEGATION, "list"), "[ GUN ]", "List the delegations", f"{_D}:list_roles", (), 1, 1, _TO_LIST
    ),
    Command(
        (*_DELEGATION, "purge"),
        "[ GUN ]",
        "Stage the removal of keys from all delegations",
        f"{_D}:purge",
        _PURGE,
        1,
        1,
        _TO_PURGE,
    ),
    Command(
        (*_DELEGATION, "remove"),
        "[ GUN ] [ Role ] <KeyID 1> ...",
        "Stage the removal of a delegation, or of keys and paths of one",
        f"{_D}:remove",
        _FEWER_PATHS,
        2,
        None,
        _TO_REMOVE,
    ),
    Command(
        ("delete",),
        "[ GUN ]",
        "Delete the trust data of a repository here",
        f"{_C}:delete",
        (Flag("remote", "Delete it at the server, too"),),
        1,
        1,
        _GUN,
    ),
    Command(_HELP, "[COMMAND]", "Say more about a command"),
    Command(("init",), "[ GUN ]", "Make the trust data of a repository", f"{_C}:init", _ROOT, 1, 1, _GUN),
    Command(_KEY, "COMMAND", "Look after private keys"),
    Command((*_KEY, "export"), "", "Print keys, encrypted", f"{_K}:export_keys", _EXPORT, 0, 0, _EXPORTED),
    Command(
        (*_KEY, "generate"), "[ algorithm ]", "Make a key", f"{_K}:generate", _GENERATE, 0, 1, _GENERATED
    ),
    Command(
        (*_KEY, "import"),
        "pemfile [ pemfile ... ]",
        "Store keys from files",
        f"{_K}:import_keys",
        _IMPORT,
        1,
        None,
        _IMPORTED,
    ),
    Command((*_KEY, "list"), "", "List keys", f"{_K}:list_keys", most=0),
    Command(
        (*_KEY, "passwd"), "[ keyID ]", "Change the passphrase of a key", f"{_K}:passwd", (), 1, 1, _CHANGED
    ),
    Command((*_KEY, "remove"), "[ keyID ]", "Remove a key", f"{_K}:remove", (), 1, 1, _REMOVED),
    Command(
        (*_KEY, "rotate"),
        "[ GUN ] [ key role ]",
        "Replace the keys of a role",
        f"{_K}:rotate",
        _ROTATE,
        2,
        2,
        _ROTATED,
    ),
    Command(("list",), "[ GUN ]", "List targets", f"{_T}:list_targets", (_LIST_ROLES,), 1, 1, _GUN),
    Command(("lookup",), "[ GUN ] <target>", "Show one target", f"{_T}:lookup", (), 2, 2, _TARGET),
    Command(("publish",), "[ GUN ]", "Publish what is staged", f"{_C}:publish", (), 1, 1, _GUN),
    Command(
        ("remove",),
        "[ GUN ] <target>",
        "Stage the removal of a target",
        f"{_T}:remove",
        (_PUBLISH, _REMOVE_ROLES),
        2,
        2,
        _TARGET,
    ),
    Command(("reset",), "[ GUN ]", "Drop staged changes", f"{_C}:reset", _RESET, 1, 1, _GUN),
    Command(("status",), "[ GUN ]", "Show staged changes", f"{_C}:status", (), 1, 1, _GUN),
    Command(
        ("verify",),
        "[ GUN ] <target>",
        "Print content if it is what a target says",
        f"{_T}:verify",
        _VERIFY,
        2,
        2,
        _TARGET,
    ),
    Command(("version",), "", "Print the version", "entry:version", most=0),
    Command(
        ("witness",),
        "[ GUN ] <role> ...",
        "Stage a new signature for roles as they are",
        f"{_C}:witness",
        (_PUBLISH,),
        2,
        None,
        _WITNESSED,
    ),
)
BY_WORDS = {command.words: command for command in COMMANDS}
_EXACT = frozenset({(*_DELEGATION, "list"), (*_DELEGATION, "purge"), (*_KEY, "list"), (*_KEY, "export")})
_EXACT |= {(*_KEY, "generate")}


def read(words: Sequence[str], program: str) -> CommandLine | Answer:
    """Read a command line: what follows the program's name, which help and errors give as `program`.

    Raises UsageError (rule 3).
    """
    command, rest = find(BY_WORDS, words, GLOBALS)
    path, shared = " ".join((program, *command.words)), [*command.flags, *GLOBALS]
    at = first_argument(shared, rest)
    if at is not None and not command.function and command.words != _HELP:
        raise _unknown(command, rest[at], path)
    try:
        flags, arguments = parse(shared, rest)
    except HelpWantedError:
        return Answer(help_text(command, program), to_stdout=True)
    except FlagError as error:
        raise _mistake(str(error), path) from None
    if command.words == _HELP:
        return _help_about(arguments, program)
    if flags.get(VERSION.name):
        return CommandLine("entry:version_in_short", arguments, flags)
    if not command.function:
        return Answer(help_text(command, program), to_stdout=True)
    _require_arguments(command, arguments, path)
    return CommandLine(command.function, arguments, flags)


def _require_arguments(command: Command, arguments: Sequence[str], path: str) -> None:
    """Raise UsageError for too few arguments, or too many where that matters (rule 4)."""
    many = command.most is not None and len(arguments) > command.most
    if many and command.words[:1] == _COMPLETION:
        raise _unknown(command, arguments[0], path)
    if len(arguments) < command.arguments or (many and command.words in _EXACT):
        raise _mistake(command.missing or f"{path} takes no arguments", path)


def unread(words: Sequence[str]) -> list[str]:
    """Return the arguments of a line that was understood and that mean nothing (rule 4)."""
    command, rest = find(BY_WORDS, words, GLOBALS)
    arguments = parse([*command.flags, *GLOBALS], rest)[1]
    return [] if command.most is None else arguments[command.most :]


def _help_about(words: Sequence[str], program: str) -> Answer:
    command, rest = find(BY_WORDS, words, GLOBALS)
    if rest and not command.function:
        raise _unknown(command, rest[0], " ".join((program, *command.words)))
    return Answer(help_text(command, program), to_stdout=True)


def _unknown(command: Command, word: str, path: str) -> UsageError:
    from difflib import get_close_matches  # which only a mistake needs

    known = [one.words[-1] for one in inner_commands(COMMANDS, command)]
    near = get_close_matches(word, known, 1)
    advice = Advice("write-instead", text=f"{path} {near[0]}") if near else Advice("see-help", command=path)
    return UsageError(f'unknown command "{word}" for "{path}"', advice=advice)


def _mistake(text: str, path: str) -> UsageError:
    return UsageError(text, advice=Advice("see-help", command=path))


def help_text(command: Command, program: str) -> str:
    """Return the help of a command, in the form that cobra gives it."""
    path = " ".join((program, *command.words))
    usage = " ".join(filter(None, (path, command.usage, "[flags]" if command.function else "")))
    parts = [f"{command.about}.\n", f"Usage:\n  {usage}\n"]
    inner = inner_commands(COMMANDS, command)
    if inner:
        wide = max(len(one.words[-1]) for one in inner) + 3
        listed = "".join(f"  {one.words[-1]:<{wide}}{one.about}\n" for one in inner)
        parts.append(f"Available Commands:\n{listed}")
    own = [*command.flags, HELP, *([] if command.words else GLOBALS)]
    parts.append(f"Flags:\n{flag_lines(sorted(own, key=lambda flag: flag.name.lower()))}")
    if command.words:
        parts.append(f"Global Flags:\n{flag_lines(GLOBALS)}")
    if inner:
        parts.append(f'Use "{path} COMMAND --help" for more information about a command.\n')
    return "\n".join(parts)
