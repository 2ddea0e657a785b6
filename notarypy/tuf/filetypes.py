"""What a file is that somebody took for a key: its type, and the line that makes a key of it.

What it is: the refusal of a file that brings no private, or no public key. What it is not: reading keys
(`keys.formats`, `signerkeys`): a file comes here when there is none in it.

Rules:

1. A file is told by what it holds, not by its name, and nothing of that is repeated: it may be a secret.
2. Whatever is no key for Notary leads to one that is: a command that converts it, or where else to look.
3. Any bytes are answered, in time linear in their number.
"""

from __future__ import annotations

import re

from notarypy.errors import Advice, UnsupportedKeyError
from notarypy.tuf import der
from notarypy.values import dataclass, replace

_LABEL = re.compile(rb"----(?:-| )BEGIN ([A-Z0-9 ._-]{1,60}?) ?-----?\s")
_ESCAPED = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,40}-----\\[nr]")
_LOST_ENDS = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,40}-----[ \t]*[A-Za-z0-9+/]{4}")
_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"-\0-\0", b"\0-\0-")
_DER_SEQUENCE = bytes([der.SEQUENCE])
# A sequence of version 3, which no key has, and what begins another sequence. Some are no DER but BER.
_PKCS12_START = re.compile(
    rb"\x30(?:[\x00-\x80]|\x81.|\x82.{2}|\x83.{3}|\x84.{4})\x02\x01\x03\x30", re.DOTALL
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PEM_IN_BASE64 = b"LS0tLS1CRUdJTi"
_DER_IN_BASE64 = re.compile(rb"M[A-Za-z0-9+/\s]+={0,2}\s*")
_MAKE = Advice("make-key")
_DECRYPT = Advice("decrypt-first")
_KIND = Advice("use-key-kind")
_PEM = Advice("give-pem")
_PUBLIC_HALF = Advice("give-public-half")
_PRIVATE_HALF = Advice("give-private-half")


@dataclass(frozen=True)
class FileType:
    """A type of file.

    Attributes:
        words: What it is, for people.
        private: What to do where a private key was wanted.
        public: What to do where a public key was wanted.
    """

    words: str
    private: Advice
    public: Advice


def _either(words: str, advice: Advice) -> FileType:
    return FileType(words, advice, advice)


def no_private_key(data: bytes) -> UnsupportedKeyError:
    """Return the refusal of a file without a private key that can be read."""
    found = recognised(data)
    return UnsupportedKeyError("this file holds no private key", why=found.words, advice=found.private)


def no_public_key(data: bytes) -> UnsupportedKeyError:
    """Return the refusal of a file without a public key or certificate that can be read."""
    found = recognised(data)
    message = "this file holds no public key or certificate"
    return UnsupportedKeyError(message, why=found.words, advice=found.public)


def recognised(data: bytes) -> FileType:
    """Return the type of a file (rule 1)."""
    if data.startswith(_DER_SEQUENCE):
        return _PKCS12 if _PKCS12_START.match(data) else _der(data) or _UNKNOWN
    text = data.removeprefix(_BYTE_ORDER_MARK).lstrip()
    if not text:
        return _either("it is empty", _PEM)
    beginnings = [found for start, found in _BEGINNINGS if text.startswith(start)]
    bare = [_BARE] if _DER_IN_BASE64.fullmatch(text) else []
    return next(iter([*beginnings, *_damaged(text), *_labelled(text), *bare]), _UNKNOWN)


def _damaged(text: bytes) -> list[FileType]:
    ways = ((_ESCAPED, Advice("restore-escaped")), (_LOST_ENDS, Advice("restore-line-ends")))
    found = [_either("its line ends are lost", way) for pattern, way in ways if pattern.search(text)]
    if any(b"END " + label not in text for label in set(_LABEL.findall(text))):
        found.append(_either("it is cut off: there is no END line", Advice("give-whole-file")))
    return found


def _labelled(text: bytes) -> list[FileType]:
    labels = {label.decode() for label in _LABEL.findall(text)}
    known = [found for label, found in _LABELS.items() if label in labels]
    other = [_either(f"it holds: {', '.join(sorted(labels))}", _PEM)] if labels else []
    return [*known, *other]


def _certificate(form: str) -> FileType:
    public = Advice("convert-certificate", form=form)
    return FileType(f"it is a certificate, {form}", Advice("give-certified-key"), public)


def _private_key(form: str) -> FileType:
    private, public = Advice("convert-private", form=form), Advice("take-public-half", form=form)
    return FileType(f"it is a private key, {form}", private, public)


def _request(form: str) -> FileType:
    words, public = f"it is a certificate request, {form}", Advice("take-requested-key", form=form)
    return FileType(words, Advice("give-requested-key"), public)


def _pkcs7(form: str) -> FileType:
    words, public = f"it is PKCS#7, {form}: certificates", Advice("convert-pkcs7", form=form)
    return FileType(words, Advice("give-certified-key"), public)


def _public_key(form: str) -> FileType:
    return FileType(f"it is a public key, {form}", _PRIVATE_HALF, Advice("convert-public", form=form))


def _pkcs1_public_key(form: str) -> FileType:
    words, public = f"it is a public key in the form of PKCS#1, {form}", Advice("convert-pkcs1", form=form)
    return FileType(words, _PRIVATE_HALF, public)


def _der(data: bytes) -> FileType | None:
    """Tell the usual structures apart by the tags of their first elements."""
    try:
        parts = der.elements(data)
        tags = bytes(part[0] for part in parts)
        if tags == bytes((der.SEQUENCE, der.SEQUENCE, der.BITS)):  # something that is signed
            inner = bytes(part[0] for part in der.elements(parts[0]))
            named = inner.startswith(bytes((der.INTEGER, der.SEQUENCE, der.SEQUENCE)))
            return _request("DER") if named and inner.endswith(b"\xa0") else _certificate("DER")
    except ValueError:
        return None
    return next((found for start, found in _STRUCTURES if tags.startswith(bytes(start))), None)


_PKCS12 = FileType("it is PKCS#12", Advice("convert-pkcs12"), Advice("take-pkcs12-certificate"))
_STRUCTURES: tuple[tuple[tuple[int, ...], FileType], ...] = (
    ((der.INTEGER, der.SEQUENCE, der.OCTETS), _private_key("DER")),
    ((der.INTEGER, der.OCTETS), _private_key("DER")),
    ((der.INTEGER,) * 9, _private_key("DER")),
    ((der.INTEGER,) * 6, _either("it is a DSA key, DER", _KIND)),
    ((der.INTEGER,) * 2, _pkcs1_public_key("DER")),
    ((der.SEQUENCE, der.OCTETS), _private_key("DER")),
    ((der.SEQUENCE, der.BITS), _public_key("DER")),
    ((der.OID, 0xA0), _pkcs7("DER")),
)
_SSH_KEY = FileType("it is a private key of OpenSSH", Advice("rewrite-openssh"), Advice("take-openssh-half"))
_SSH_PUBLIC = FileType("it is a public key of OpenSSH", _PRIVATE_HALF, Advice("convert-openssh-public"))
_SSH_OTHER = FileType("it is a public key of OpenSSH, of another kind", _PRIVATE_HALF, _KIND)
_SSH2 = FileType("it is a public key of SSH, RFC 4716", _PRIVATE_HALF, Advice("convert-ssh2-public"))
_PGP = _either("it is a PGP file", _MAKE)
_COSIGN = FileType("it is a private key of cosign", Advice("store-key"), _PUBLIC_HALF)
_AGE = _either("it is a key of age", _MAKE)
_ENCRYPTED = _either("it is encrypted as a whole", _DECRYPT)
_PARAMETERS = _either("it holds parameters and no key", _MAKE)
_OWN_CERTIFICATE = replace(_certificate("PEM"), words="it is a certificate in a form of openssl's own")
_DSA = _either("it is a DSA key", _KIND)
_BARE = _either("it is base64 without BEGIN and END lines", Advice("add-pem-lines"))
_UNKNOWN = _either("it is no PEM, and nothing else that is known here", _PEM)
# Of several the first one here counts: what has a private key is one, whatever else is in it.
_LABELS = {
    "OPENSSH PRIVATE KEY": _SSH_KEY,
    "ENCRYPTED COSIGN PRIVATE KEY": _COSIGN,
    "ENCRYPTED SIGSTORE PRIVATE KEY": _COSIGN,
    "DSA PRIVATE KEY": _DSA,
    "PRIVATE KEY": _private_key("PEM"),
    "ENCRYPTED PRIVATE KEY": _private_key("PEM"),
    "EC PRIVATE KEY": _private_key("PEM"),
    "RSA PRIVATE KEY": _private_key("PEM"),
    "RSA-PSS PRIVATE KEY": _either("it is a private key for RSA-PSS alone", _MAKE),
    "PGP PRIVATE KEY BLOCK": _PGP,
    "CERTIFICATE": _certificate("PEM"),
    "TRUSTED CERTIFICATE": _OWN_CERTIFICATE,
    "X509 CERTIFICATE": _OWN_CERTIFICATE,
    "PUBLIC KEY": _public_key("PEM"),
    "RSA PUBLIC KEY": _pkcs1_public_key("PEM"),
    "SSH2 PUBLIC KEY": _SSH2,
    "CERTIFICATE REQUEST": _request("PEM"),
    "NEW CERTIFICATE REQUEST": _request("PEM"),
    "PKCS7": _pkcs7("PEM"),
    "PGP PUBLIC KEY BLOCK": _PGP,
    "PGP MESSAGE": _ENCRYPTED,
    "AGE ENCRYPTED FILE": _ENCRYPTED,
    "EC PARAMETERS": _PARAMETERS,
    "DH PARAMETERS": _PARAMETERS,
    "DSA PARAMETERS": _PARAMETERS,
}
_BEGINNINGS = (
    (b"ssh-rsa ", _SSH_PUBLIC),
    (b"ecdsa-sha2-nistp", _SSH_PUBLIC),
    (b"ssh-", _SSH_OTHER),
    (b"sk-", _SSH_OTHER),
    (b"PuTTY-User-Key-File", _either("it is a private key of PuTTY", Advice("convert-putty"))),
    (b"AGE-SECRET-KEY-", _AGE),
    (b"# created: ", _AGE),
    (b"age1", _AGE),
    (b"age-encryption.org/", _ENCRYPTED),
    (b"$ANSIBLE_VAULT;", _ENCRYPTED),
    (b"Salted__", _ENCRYPTED),
    (b"U2FsdGVkX1", _ENCRYPTED),
    (b"untrusted comment:", _either("it is a file of minisign or signify", _MAKE)),
    (b"\xfe\xed\xfe\xed", _either("it is a Java keystore", Advice("convert-keystore"))),
    (_PEM_IN_BASE64, _either("it is PEM in base64", Advice("decode-base64"))),
    *((start, _either("it is UTF-16", Advice("convert-utf16"))) for start in _UTF16),
    (b"{", _either("it is JSON", _PEM)),
    (b"<", _either("it is XML or HTML", _PEM)),
    (b"PK\x03\x04", _either("it is a ZIP archive", Advice("unpack-file"))),
)  # fmt: skip
