"""A world in which everything is known of the images that `fixtures/admission` names, and a webhook over it.

What it is: repositories as `images.json` says, on the fake, and the trust policy that makes it so. What it is
not: the cases (`admissions`).
"""

from __future__ import annotations

import threading
from concurrent.futures import wait
from typing import TYPE_CHECKING, Final

from notarypy.cli.text import serveradvice
from notarypy.cli.text.advice import own_advice
from notarypy.errors import UnreachableError
from notarypy.service.webhook import Webhook
from support import admissions
from support.admissions import World as Names
from support.verifiers import SECONDS, Ticks, pin_of, pinned, verifier, write_policy

if TYPE_CHECKING:
    from pathlib import Path

    from notarypy.kubernetes.admissionanswer import AdmissionAnswer
    from notarypy.remote.http.messages import Request, Response
    from support.people import World

REGISTRY: Final = "registry.test"
SILENT: Final = "silent.test"
"""The host of a Notary server that never answers; who makes the world says how."""
GONE: Final = "gone.test"
SIGNED: Final = {
    "app": {"1": "one", "latest": "one", "2": "two"},
    "deep/er/app": {"1": "one"},
    "models/small": {"v1": "two"},
    "audited": {"1": "one"},
    "signers": {"1": "one"},
}
UNSIGNED: Final = {
    "app": {"unsigned": "other"},
    "unknown": {"1": "one", "2": "two"},
    "skipped/tool": {"1": "skipped"},
}


def prepared(world: World) -> tuple[Path, Names]:
    """Sign what is signed there; return the trust policy, and what the names stand for."""
    digests = {
        content: world.push(tag, content, path)
        for tree in (SIGNED, UNSIGNED)
        for path, tags in tree.items()
        for tag, content in tags.items()
    }
    owner = world.person("owner")
    owner.client().sign([f"{REGISTRY}/{path}:{tag}" for path in SIGNED for tag in SIGNED[path]], init=True)
    pin = pin_of(owner, f"{REGISTRY}/app")
    policy = write_policy(
        world.base / "policy.toml", *scopes(REGISTRY, pin, f"https://{GONE}", f"https://{SILENT}")
    )
    world.requests()
    names = Names(REGISTRY, digests["one"], digests["two"], digests["other"], digests["skipped"])
    return policy, names


def scopes(registry: str, pin: str, gone: str, silent: str) -> list[str]:
    """Return the scopes of the trust policy; `gone` and `silent` are URLs of Notary servers."""
    return [
        pinned(pin, registry),
        pinned(pin, f"{registry}/audited", 'mode = "audit"', 'signers.all = ["nobody"]'),
        pinned(pin, f"{registry}/signers", 'signers.all = ["nobody"]'),
        f'{registry}/skipped\nmode = "skip"',
        pinned(pin, f"{registry}/gone", f'server = "{gone}"'),
        pinned(pin, f"{registry}/silent", f'server = "{silent}"'),
    ]


class Cluster:
    """A webhook over the fake, as an API server asks it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.go_on = threading.Event()
        world.fake.before.append(self._elsewhere)
        self.policy, self.names = prepared(world)
        self.ticks = Ticks()
        self.verifier = verifier(world, self.policy, ticks=self.ticks)
        self.webhooks = {
            mode: Webhook(
                self.verifier,
                require_digest=mode == "strict",
                warn_only=mode == "warn",
                advice=serveradvice.at_admission(own_advice),
            )
            for mode in admissions.MODES
        }

    def _elsewhere(self, request: Request) -> Response | None:
        """Answer for servers that do not: one is gone, and one is silent."""
        if f"//{SILENT}" in request.url:
            self.go_on.wait(SECONDS)
        if any(f"//{host}" in request.url for host in (SILENT, GONE)):
            raise UnreachableError("nothing listens there")
        return None

    def ask(self, data: bytes, mode: str) -> AdmissionAnswer:
        """Return the answer to a review, with all that is known but of the silent server."""
        webhook = self.webhooks[mode]
        pending = webhook.begin(data, mutate=mode in admissions.MUTATING)
        answering = [future for image, future in pending.asked.items() if "/silent/" not in image]
        assert not wait(answering, SECONDS).not_done
        return webhook.finish(pending)

    def close(self) -> None:
        """End what waits."""
        self.go_on.set()
        self.verifier.close()
