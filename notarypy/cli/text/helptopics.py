"""The help of the program, and of topics: what no single command explains.

What it is: texts, and their lines for a terminal. What it is not: the help of a command, which is made of its
declaration (`bridge`).

Rules:

1. The page of the program fits a screen of 80 columns and 40 lines, and so does the help of each command.
   What has no room there is a topic, and the page names all of them.
2. A command is said here in the words that its own help begins with. None has to be imported for that.
3. A topic is paragraphs, lines that stand as they are (they begin with a blank), and terms with what they
   mean; no line of it is wider than 80 columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

Term = tuple[str, str]
_WIDTH = 80
_WIDEST_TERM = 27

# Commands by what somebody wants to do, and the first line of their help.
GROUPS: Mapping[str, Mapping[str, str]] = {
    "Verify images": {
        "verify": "Verify that a registry serves the very digest that was signed.",
        "inspect": "Show what is signed, and by whom, as docker trust inspect does.",
        "pin": "Verify the images that files name, and write digests there.",
        "pull": "Verify an image, and fetch it into an OCI layout.",
    },
    "Sign images": {
        "key": "Private keys: make, load, list, export, remove and rotate.",
        "init": "Make trust data for repositories, once, before the first tag.",
        "signer": "Signers: who may sign a repository, as docker trust has them.",
        "sign": "Sign tags with the digests that their registry serves.",
        "revoke": "Make tags unsigned, in every role whose key this machine has.",
    },
    "Look after trust data": {
        "login": "Log in to a registry, and to its Notary server.",
        "doctor": "Look for what is wrong with settings, servers, keys, dates.",
        "status": "Show when each role ends, and which keys this machine has.",
        "renew": "Sign again what ends soon or has ended: new dates, same content.",
        "backup": "Save all of this machine: keys, roots, metadata, settings.",
    },
    "Images": {
        "build": "Build with signed base images only.",
        "push": "Send an image from files to a registry, without signing it.",
        "copy": "Verify an image, and copy it to another name.",
    },
    "Repositories and their trust": {
        "delegate": "Delegations: signers in detail: for some tags, without releasing.",
        "trust": "Whose root is trusted: show it and the server's; accept that one.",
        "history": "Show who signed what and when, oldest first.",
        "report": "Report who may sign what, what is signed, and what is wrong.",
        "export": "Write trust data, and no key, to verify where no server is.",
        "import": "Verify the trust data that export wrote, and keep it.",
        "restore": "Put what backup wrote back: all of it, or nothing.",
        "republish": "Send a server what it lost, from what this machine has read.",
        "forget": "Drop the cached trust data of a repository; keys stay.",
        "delete": "Delete the trust data of a repository at its Notary server.",
        "logout": "Erase the stored login for a registry.",
    },
    "Other programs": {
        "serve": "Verify images for others, over HTTP.",
        "admission": "Images of a Kubernetes cluster, verified before they run.",
        "migrate": "The way out of Notary: to the signatures of today.",
        "docker-trust": "Do what docker trust does, in its words.",
        "notary": "Do what Go's notary does, in its words.",
        "install-plugin": "Make docker trust run notarypy.",
        "completion": "Print what makes a shell complete command lines.",
        "demo": "Show the whole flow, on servers of its own.",
        "devserver": "Run a Notary server and a registry for development.",
    },
}
# Those that the page of the program shows with their words.
_SHOWN = ("Verify images", "Sign images", "Look after trust data")

START: Sequence[str | Term] = (
    "Everybody names the Notary server; signing takes a login, reading only where it is not public:",
    "  export DOCKER_CONTENT_TRUST_SERVER=https://notary.example.com",
    "  notarypy login registry.example.com",
    "The first time, after the push, sign makes a root key and a targets key, and prints the root pin:",
    "  notarypy sign --init registry.example.com/app:1",
    "Nothing replaces the root key, which says whose keys count; CI never has it. Keep a copy of all keys:",
    "  notarypy backup notarypy.backup",
    "From then on, for each release; with the file that the builder wrote exactly what it pushed:",
    "  notarypy sign registry.example.com/app:2",
    "  notarypy sign --digest-file meta.json registry.example.com/app:2",
    "Whoever else signs is a signer, with a key of their own. So is CI, whose key its owner makes:",
    "  notarypy key generate ci",
    "  notarypy signer add --key ci.pub ci registry.example.com/app",
    "  notarypy key export ci -o ci.key",
    "CI keeps as secrets ci.key, its passphrase, and the registry's password:",
    "  export DOCKER_CONTENT_TRUST_SERVER=https://notary.example.com",
    '  export DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE="$KEY_PASSPHRASE"',
    '  echo "$PASSWORD" | notarypy login registry.example.com -u ci --password-stdin',
    "  notarypy key load ci.key",
    "  notarypy sign --root ROOT-PIN --digest-file meta.json \\",
    "    registry.example.com/app:3",
    "The owner sees the root pin again, 64 hex digits, and gives it to whoever verifies:",
    "  notarypy trust registry.example.com/app",
    "  notarypy verify --root ROOT-PIN registry.example.com/app:1",
    "It prints the image by its digest and exits 0, or says what is wrong. A policy keeps pins for good.",
    "Without a pin, a root never seen is asked about, and refused without a terminal or --first-use.",
    "Signatures end, mostly after three years: status says when, and whoever has the keys moves that ahead:",
    "  notarypy status registry.example.com/app",
    "  notarypy renew registry.example.com/app",
    "docker itself reads the same trust data, with DOCKER_CONTENT_TRUST=1.",
    "To see all of it without a server of yours: notarypy demo. Where something fails: notarypy doctor.",
)
NAMES: Sequence[str | Term] = (
    "What the help of commands has in capitals stands for:",
    (
        "REPO",
        "registry/name; alpine means docker.io/library/alpine. Its trust data has this name too, the GUN.",
    ),
    ("REF", "REPO[:TAG][@sha256:DIGEST]; the tag is latest if neither is given."),
    ("NAME", "A signer: jeff, which stands for the role targets/jeff."),
    ("KEY", "A signer's name, or at least 7 digits of a key id."),
    ("URI", "Where a key is, on a token, in a KMS or in Vault: hashivault://release, pkcs11:token=..."),
    ("KEYREF", "A KEY, a key file, or a URI. What has a / or a dot in it, and is no URI, is a file."),
    ("PUB", "A file with a public key or a certificate, PEM; or the URI of a key."),
    (
        "ROOT-PIN",
        (
            "A root key id in full, 64 hex digits. The repository's root must be of this key, or a "
            "successor: signed by it too, root after root. It is no digest of an image, as pin writes."
        ),
    ),
    ("TIME", "A number and s, m, h, d, w or y: 5s, 2m, 10d, 3y."),
    "And the words of Notary, and of this program:",
    (
        "trust data",
        "What a Notary server has of a repository: signed files about tags, their digests, and who may sign.",
    ),
    (
        "role",
        (
            "One of these files, with keys of its own: root says whose keys count, and it takes the root key "
            "to change that; targets is the owner's, snapshot and timestamp mostly the server's."
        ),
    ),
    ("delegation", "A role below targets, whose holder may sign tags: a signer's is targets/NAME."),
    (
        "targets/releases",
        (
            "The delegation that docker and verify go by: a tag in it is released. What a signer alone has "
            "signed is not, until it is there too."
        ),
    ),
    ("part", "A change in a file that several people sign, each shown it first, before it is published."),
    ("threshold", "How many keys have to sign a role: 1, or what delegate add --threshold says."),
    ("here", "On this machine: in the trust directory, ~/.docker/trust or --trust-dir."),
)
OPTIONS: Sequence[str | Term] = (
    "They stand before or after the command. Behind -- nothing is an option.",
    "Variables say what no option does (notarypy help environment), or else the configuration file.",
)
ENVIRONMENT: Sequence[str | Term] = (
    ("DOCKER_CONTENT_TRUST_SERVER", "The Notary server, unless --server is given; else https://REGISTRY."),
    ("DOCKER_CONFIG", "docker's directory, else ~/.docker: keys and trust data, CAs of servers, logins."),
    ("XDG_CONFIG_HOME", "Has notarypy/config.toml and notarypy/policy.toml; else ~/.config."),
    ("NOTARYPY_FIRST_USE", "1: as --first-use."),
    ("NOTARYPY_SERVICE", "The verification service of this machine, which verify asks: unix:/PATH."),
    ("NOTARY_AUTH", "base64 of USER:PASSWORD for the Notary server."),
    ("DOCKER_AUTH_CONFIG", "Logins, as docker's config.json has them."),
    ("REGISTRY_AUTH_FILE", "Where podman's auth.json is; else in XDG_RUNTIME_DIR/containers."),
    ("DOCKER_HOST, DOCKER_CONTEXT", "The docker daemon of sign --local: a unix socket."),
    ("HTTPS_PROXY, NO_PROXY", "Proxies, also in lower case."),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "The CAs of the system."),
    ("NO_COLOR", "No colour, unless --color asks for it."),
    ("FORCE_COLOR, CLICOLOR_FORCE", "Colour on standard error where it is no terminal."),
    ("TERM", "dumb, or nothing: neither colour nor a progress line."),
    ("TMPDIR", "For copies that are needed for a while; else /var/tmp."),
    ("AWS_*, AZURE_*, GOOGLE_*", "Keys in a KMS, as the library of each reads them."),
    ("VAULT_* or BAO_*", "Keys in Vault or OpenBao."),
    ("PKCS11_MODULE_PATH", "Keys on tokens."),
    "Those that have passphrases: notarypy help passphrases.",
)
PASSPHRASES: Sequence[str | Term] = (
    "The first of these that unlocks a key counts. A variable with _FILE behind its name names a file.",
    ("--passphrase-file FILE", "Its first line; or lines root=, targets=, snapshot=, NAME=."),
    ("NOTARYPY_PASSPHRASE_NAME", "For the key of signer NAME, in capitals; or its id's first 7 digits."),
    ("COSIGN_PASSWORD", "For a key file of cosign alone."),
    ("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", "For root keys."),
    ("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", "For all keys but root keys."),
    ("NOTARY_ROOT_PASSPHRASE", "For root keys, as Go notary names it."),
    ("NOTARY_TARGETS_PASSPHRASE", "For targets keys."),
    ("NOTARY_SNAPSHOT_PASSPHRASE", "For snapshot keys."),
    ("NOTARY_DELEGATION_PASSPHRASE", "For all others."),
    ("NOTARYPY_KEYRING", "1: the operating system's keyring is asked."),
    ("the terminal", "Is asked last, where there is one."),
)
EXIT_CODES: Sequence[str | Term] = (
    ("0", "done; verified"),
    ("1", "another failure"),
    ("2", "the command line, or a confirmation that nobody can give"),
    ("3", "not signed, no trust data, or the tag is not in the registry"),
    ("4", "verification failed"),
    ("5", "expired"),
    ("6", "a key is missing, locked or unsupported"),
    ("7", "a login or a permission is missing"),
    ("8", "network, TLS or server"),
    ("9", "other publishers were quicker until the end"),
    ("10", "a required signer or policy is not met"),
    ("11", "nothing says which root a repository must have"),
    ("12", "there was nothing to look at, or something was not looked at"),
    ("130", "interrupted; by a signal other than Ctrl-C, 128 and its number"),
    "Of several the worst, in the order 4 10 11 5 3 6 7 9 8 2 12 1.",
)
# Commands that sound alike.
WHICH: tuple[str, Mapping[str, str]] = (
    "Which of them for what",
    {
        "signer, delegate": "The same people: signer as docker has them, delegate for some tags only.",
        "trust": "Not about signers: about the root, which says whose keys count at all.",
        "backup, export": "backup has your keys and settings; export has what others verify by.",
        "key export": "Single keys, encrypted, for another machine or program.",
        "renew, republish": "renew moves dates ahead; republish is for a server that was wiped or set back.",
    },
)
COMMANDS: Sequence[str | Term] = tuple(
    chain.from_iterable((f"{group}:", *words.items()) for group, words in (*GROUPS.items(), WHICH))
)
# Topics by name: what each is about, and its text.
TOPICS: Mapping[str, tuple[str, Sequence[str | Term]]] = {
    "start": ("The first commands, to verify and to sign.", START),
    "commands": ("All commands.", COMMANDS),
    "options": ("The options that every command takes.", OPTIONS),
    "names": ("How images, signers, keys and times are written, and what words mean.", NAMES),
    "passphrases": ("Where the passphrase of a key comes from.", PASSPHRASES),
    "environment": ("The variables that are read.", ENVIRONMENT),
    "exit-codes": ("What each exit code means.", EXIT_CODES),
}


def program() -> str:
    """Return the page of the program (rule 1)."""
    parts = [
        "Usage: notarypy [OPTIONS] COMMAND [ARGS]...\n",
        "  Sign and verify container images with Notary v1 (Docker Content Trust).",
        "  Needs no docker. Keys and signatures are docker trust's own, read both ways.\n",
    ]
    for group in _SHOWN:
        parts += [f"{group}:", *_terms(list(GROUPS[group].items()), 7), ""]
    rest = sorted(name for group, words in GROUPS.items() if group not in _SHOWN for name in words)
    parts += ["More commands (what each does: notarypy help commands):", *_filled(", ".join(rest), "  "), ""]
    parts += [
        "Example:",
        "  notarypy sign --init registry.example.com/app:1  # the first time: makes keys",
        "  notarypy sign registry.example.com/app:2         # refused before that",
        "  notarypy verify registry.example.com/app:2",
        "",
    ]
    helps = [
        ("notarypy help start", TOPICS["start"][0]),
        ("notarypy help COMMAND", "What it does, its options, and examples."),
        ("notarypy help TOPIC", f"TOPIC is one of {', '.join(TOPICS)}."),
    ]
    return "\n".join([*parts, "More help:", *_terms(helps), ""])


def topic(name: str) -> str:
    """Return the page of a topic."""
    about, text = TOPICS[name]
    lines, terms = [about], list[Term]()
    for part in (*text, ""):
        if isinstance(part, tuple):
            terms.append(part)
            continue
        lines += ["", *_terms(terms)] if terms else []
        terms = []
        lines += [part] if part.startswith(" ") else ["", *_filled(part, "")] if part else []
    return "\n".join([*lines, ""])


def _terms(terms: Sequence[Term], least: int = 0) -> Iterator[str]:
    """Yield the lines of terms, each beside what it means or, if it is long, above it."""
    wide = max(least, min(_WIDEST_TERM, max(len(term) for term, _ in terms)))
    for term, text in terms:
        first, *others = _filled(text, " " * (wide + 4))
        if len(term) > wide:
            yield from _filled(term, "  ")
            yield first
        else:
            yield f"  {term:<{wide}}  {first.lstrip()}"
        yield from others


def _filled(text: str, indent: str) -> list[str]:
    """Return the lines of a text."""
    import textwrap  # which help alone needs

    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
