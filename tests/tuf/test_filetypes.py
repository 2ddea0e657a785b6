"""Whatever is taken for a key is told what it is, and what makes a key of it."""

from __future__ import annotations

import base64

import pytest

from notarypy.cli.text.advice import advice
from notarypy.tuf import filetypes
from support.counting import TOO_MUCH, growth

PRIVATE = b"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\nIQ==\n-----END EC PRIVATE KEY-----\n"
SSH2 = b"---- BEGIN SSH2 PUBLIC KEY ----\nA\n---- END SSH2 PUBLIC KEY ----\n"


def block(label: str) -> bytes:
    return f"text before\n-----BEGIN {label}-----\nTUlJ\n-----END {label}-----\n".encode()


@pytest.mark.parametrize(
    ("data", "words", "private", "public"),
    [
        (PRIVATE, "private key, PEM", "openssl pkey -inform PEM", "-in KEY -pubout"),
        (block("ENCRYPTED PRIVATE KEY"), "private key, PEM", "openssl pkey", "-in KEY -pubout"),
        (block("PRIVATE KEY") + block("CERTIFICATE"), "private key, PEM", "openssl pkey", "-pubout"),
        (block("OPENSSH PRIVATE KEY"), "private key of OpenSSH", "ssh-keygen -p", "-e -m PKCS8 -f KEY"),
        (block("ENCRYPTED COSIGN PRIVATE KEY"), "cosign", "key load", "public half"),
        (block("ENCRYPTED SIGSTORE PRIVATE KEY"), "cosign", "key load", "public half"),
        (block("DSA PRIVATE KEY"), "DSA", "openssl ecparam", "openssl ecparam"),
        (block("RSA-PSS PRIVATE KEY"), "RSA-PSS", "key generate", "key generate"),
        (block("PGP PRIVATE KEY BLOCK"), "PGP", "key generate", "key generate"),
        (block("PGP MESSAGE"), "encrypted as a whole", "decrypt it", "decrypt it"),
        (block("AGE ENCRYPTED FILE"), "encrypted as a whole", "decrypt it", "decrypt it"),
        (block("TRUSTED CERTIFICATE"), "openssl's own", "belongs to the certificate", "openssl x509"),
        (block("X509 CERTIFICATE"), "openssl's own", "belongs to the certificate", "openssl x509"),
        (block("CERTIFICATE REQUEST"), "request, PEM", "the request was made", "openssl req -inform PEM"),
        (block("PKCS7"), "PKCS#7", "belongs to the certificate", "openssl pkcs7 -inform PEM"),
        (block("RSA PUBLIC KEY"), "PKCS#1", "private half", "openssl rsa -RSAPublicKey_in -inform PEM"),
        (block("EC PARAMETERS"), "parameters", "key generate", "key generate"),
        (block("X509 CRL"), "it holds: X509 CRL", "PEM file", "PEM file"),
        (SSH2, "RFC 4716", "private half", "-i -f"),
        (b"ssh-rsa AAAAB3 me@here\n", "public key of OpenSSH", "private half", "ssh-keygen -e -m PKCS8"),
        (b"ecdsa-sha2-nistp256 AAAA me\n", "public key of OpenSSH", "private half", "ssh-keygen -e -m PKCS8"),
        (b"ssh-ed25519 AAAA me\n", "of another kind", "private half", "openssl ecparam"),
        (b"PuTTY-User-Key-File-3: ssh-rsa\n", "PuTTY", "puttygen", "puttygen"),
        (b"# created: 2026-01-01\nAGE-SECRET-KEY-1AAAA\n", "key of age", "key generate", "key generate"),
        (b"$ANSIBLE_VAULT;1.1;AES256\n6162\n", "encrypted as a whole", "decrypt it", "decrypt it"),
        (b"Salted__\1\2\3", "encrypted as a whole", "decrypt it", "decrypt it"),
        (b"untrusted comment: minisign public key\nRWQ\n", "minisign", "key generate", "key generate"),
        (b"\xfe\xed\xfe\xed\0\0\0\2", "Java keystore", "keytool", "keytool"),
        (PRIVATE.replace(b"\n", b"\\n"), "line ends are lost", "awk", "awk"),
        (PRIVATE.replace(b"\n", b" "), "line ends are lost", "printf", "printf"),
        (PRIVATE.replace(b"\n", b""), "line ends are lost", "printf", "printf"),
        (base64.encodebytes(PRIVATE), "PEM in base64", "base64 -d", "base64 -d"),
        (b"MHcCAQEE\nIQ==\n", "without BEGIN and END", "-----BEGIN", "-----BEGIN"),
        (PRIVATE.decode().encode("utf-16"), "UTF-16", "iconv", "iconv"),
        (PRIVATE.decode().encode("utf-16-be"), "UTF-16", "iconv", "iconv"),
        (PRIVATE[:60], "cut off", "BEGIN line", "BEGIN line"),
        (b'{"kty":"EC"}', "JSON", "PEM file", "PEM file"),
        (b"<html>", "HTML", "PEM file", "PEM file"),
        (b" \r\n", "empty", "PEM file", "PEM file"),
        (b"\0\1\2", "nothing else", "PEM file", "PEM file"),
        (b"\x30\x03\2\1\5", "nothing else", "PEM file", "PEM file"),
        (b"\x30\x82", "nothing else", "PEM file", "PEM file"),
        (b"PK\3\4", "ZIP", "unpack", "unpack"),
    ],
)  # fmt: skip
def test_a_file_is_told_what_it_is_and_what_to_do(data: bytes, words: str, private: str, public: str) -> None:
    found = [filetypes.no_private_key(data), filetypes.no_public_key(data)]
    assert [words in error.why[0] for error in found] == [True, True], found[0].why
    assert private in advice(found[0])
    assert public in advice(found[1])


def test_nothing_of_a_file_is_repeated() -> None:
    for data in (PRIVATE, PRIVATE.replace(b"\n", b" "), b"ssh-rsa SECRETSECRET", b"MHcCAQEE"):
        for error in (filetypes.no_private_key(data), filetypes.no_public_key(data)):
            said = " ".join((error.message, *error.why, advice(error)))
            assert "SECRET" not in said
            assert "MHcC" not in said


@pytest.mark.parametrize(
    ("start", "piece", "end"),
    [
        (b"", b"-----BEGIN ", b""),
        (b"", b"-----BEGIN A-----", b""),
        (b"", b"-----BEGIN A-----\n", b""),
        (b"M", b"A", b"!"),
        (b"\x30\x84\xff\xff\xff\xff", b"\0", b""),
    ],
    ids=["begin", "labels", "lines", "base64", "long"],
)
def test_a_large_file_is_answered_in_linear_time(start: bytes, piece: bytes, end: bytes) -> None:
    assert growth(filetypes.recognised, lambda count: start + piece * count + end, 300) < TOO_MUCH


def test_many_elements_are_told_in_linear_time() -> None:
    def sequence(count: int) -> bytes:
        return b"\x30\x82" + (2 * count).to_bytes(2, "big") + b"\2\0" * count

    assert growth(filetypes.recognised, sequence, 5000) < TOO_MUCH
