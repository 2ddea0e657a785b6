"""What to do about logins: where they are, who has them, and what they lack.

What it is: the part of the table of advice that is about them. What it is not: the rest of it (`advice`).
"""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "check-password": "check user and password",
    "docker-login": "log in with: docker login {host}",
    "get-azure-role": (
        "give this identity the role for it (AcrPull to read, AcrPush to push, AcrImageSigner beside it to "
        "sign, which neither the admin user nor a token of the registry can have), and log in again: a login "
        "has the rights of the moment when it was made"
    ),
    "get-right": "give this account the right to do that",
    "install-helper": "install {program}, or take it out of {config}",
    "give-password-stdin": "give --username USER --password-stdin",
    "log-in": "log in: notarypy login {host}",
    "log-in-again": "log in again, what the last login left is not taken any more: notarypy login {host}",
    "log-in-azure-registry-again": (
        "log in again, such a login ends after three hours: notarypy login {host} --azure, or az acr login"
    ),
    "log-in-azure-registry": "log in: notarypy login {host} --azure; or, as anybody else, with --username",
    "log-in-by-password": "log in with a password, or an access token in its place: notarypy login {host}",
    "look-at-helper": "see whether {program} is unlocked and works: echo {server} | {program} get",
    "mend-login": "mend {source}, or log in again",
    "name-azure-registry": "name it as Azure does, NAME.azurecr.io; or log in with --username",
    "name-helper": "write what follows docker-credential- in the program's name into {config}",
    "run-helper": "see what it says to: echo {server} | {program} get",
}
