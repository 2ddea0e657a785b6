"""A real builder takes what was pinned, and never starts when a base is not signed."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from interop.harness import programs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from interop.harness.images import Repository
    from interop.harness.people import Person
    from interop.harness.programs import Run
    from interop.harness.services import Endpoint

ANYTHING = '{"default": [{"type": "insecureAcceptAnything"}]}'


class Workshop:
    """Somebody with a signed base, a folder to build in, and buildah."""

    def __init__(self, person: Person, base: Repository, registry: Endpoint) -> None:
        self.person, self.base = person, base
        self.context = person.home / "context"
        self.context.mkdir()
        (self.context / "file").write_text("mine")
        (self.context / "secret").write_text("not for images")
        self.settings = person.home / ".config" / "containers"
        self.settings.mkdir(parents=True)
        self._configure(registry)
        base.push("1")
        base.push("2")
        person.own(base.name)
        person.notarypy("sign", base.ref("1")).expect(0)

    def _configure(self, registry: Endpoint) -> None:
        """Give buildah a storage of its own, that needs no privilege of the kernel, and the registry."""
        insecure = "true" if registry.ca is None else "false"
        (self.settings / "registries.conf").write_text(
            f'[[registry]]\nlocation = "{registry.host}"\ninsecure = {insecure}\n'
        )
        (self.settings / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{self.person.home}/graph"\n'
            f'runroot = "{self.person.home}/run"\n'
        )
        (self.settings / "policy.json").write_text(ANYTHING)
        if registry.ca is not None:
            folder = self.settings / "certs.d" / registry.host
            folder.mkdir(parents=True)
            shutil.copy(registry.ca, folder / "ca.crt")
        self.person.environment |= {
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_STORAGE_CONF": str(self.settings / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.settings / "registries.conf"),
            "REGISTRY_AUTH_FILE": str(self.person.home / "auth.json"),
        }
        (self.person.home / "auth.json").write_text("{}")

    def write(self, *lines: str) -> Path:
        """Write the Dockerfile."""
        path = self.context / "Dockerfile"
        path.write_text("\n".join([*lines, ""]))
        return path

    def buildah(self, *arguments: str | Path) -> Run:
        """Run buildah."""
        return programs.run(["buildah", *map(str, arguments)], self.person.environment)

    def read(self, name: str, path: str) -> str:
        """Return a file of an image."""
        container = self.buildah("from", name).expect(0).stdout.strip()
        mounted = self.buildah("mount", container).expect(0).stdout.strip()
        return programs.run(["cat", f"{mounted}/{path}"], self.person.environment).expect(0).stdout

    def built_from(self, name: str) -> dict[str, Any]:
        """Return the history of an image as buildah tells it."""
        described = json.loads(self.buildah("inspect", "--type", "image", name).expect(0).stdout)
        assert isinstance(described, dict)
        return described


@pytest.fixture
def workshop_of_alice(alice: Person, repository: Repository, registry: Endpoint) -> Workshop:
    return Workshop(alice, repository, registry)


def test_buildah_builds_a_pinned_file(workshop_of_alice: Workshop) -> None:
    shop = workshop_of_alice
    path = shop.write(f"FROM {shop.base.ref('1')} AS base", "FROM base", "COPY file /file", "USER 7")
    pinned = shop.person.notarypy("pin", "--in-place", path).expect(0)
    assert f"{shop.base.ref('1')}@sha256:" in pinned.stdout
    shop.buildah("bud", "-t", "pinned", shop.context).expect(0)
    assert shop.built_from("pinned")["OCIv1"]["config"]["User"] == "7"
    shop.person.notarypy("pin", "--check", path).expect(0)


def test_an_unsigned_base_stops_it_before_the_builder_starts(workshop_of_alice: Workshop) -> None:
    shop = workshop_of_alice
    shop.write(f"FROM {shop.base.ref('1')}", f"COPY --from={shop.base.ref('2')} /text /two")
    argv = ("build", "--builder", "buildah", "--", "-t", "never")
    refused = shop.person.notarypy(*argv, shop.context).expect(3)
    assert f"Dockerfile:2: {shop.base.ref('2')} is not signed" in refused.stderr
    assert shop.buildah("images", "-q").expect(0).stdout == ""


@pytest.mark.parametrize("builder", ["buildah", "podman"])
def test_what_is_built_is_pushed_and_signed(
    workshop_of_alice: Workshop, bob: Person, new_repository: Callable[[], Repository], builder: str
) -> None:
    shop, result = workshop_of_alice, new_repository()
    shop.person.notarypy("init", result.name).expect(0)
    shop.write(f"ARG TAG\nFROM {shop.base.name}:$TAG", "COPY . /")
    (shop.context / "Dockerfile.dockerignore").write_text("secret\n")
    argv = ["build", "--builder", builder, "--sign", result.ref("1"), "--json", "--"]
    done = shop.person.notarypy(*argv, "--build-arg", "TAG=1", shop.context).expect(0)
    digest = done.document["results"][-1]["digest"]
    assert bob.notarypy("verify", result.ref("1")).expect(0).stdout == f"{result.name}@{digest}\n"
    container = shop.buildah("from", f"{result.name}@{digest}").expect(0).stdout.strip()
    mounted = shop.buildah("mount", container).expect(0).stdout.strip()
    listed = programs.run(["ls", mounted], shop.person.environment).expect(0).stdout.split()
    assert {"file", "text"} <= set(listed)
    assert "secret" not in listed


def test_a_builder_that_fails_is_1_and_nothing_is_signed(
    workshop_of_alice: Workshop, new_repository: Callable[[], Repository]
) -> None:
    shop, result = workshop_of_alice, new_repository()
    shop.person.notarypy("init", result.name).expect(0)
    shop.write(f"FROM {shop.base.ref('1')}", "COPY missing /")
    argv = ("build", "--builder", "buildah", "--sign", result.ref("1"), "--")
    failed = shop.person.notarypy(*argv, shop.context).expect(1)
    assert "buildah build failed [build.failed]" in failed.stderr
    shop.person.notarypy("verify", result.ref("1")).expect(3)


def test_buildah_takes_no_image_in_the_place_of_a_stage(workshop_of_alice: Workshop) -> None:
    """To buildah a stage in other letters is an image, and an escape directive stands in the first line."""
    shop = workshop_of_alice
    (shop.context / "Evil").write_text("FROM scratch\nCOPY secret /text\n")
    shop.buildah("build", "-t", "builder", "--file", shop.context / "Evil", shop.context).expect(0)
    shop.write(
        "# syntax=docker/dockerfile:1",
        "# escape=`",
        f"FROM {shop.base.ref('1')} AS Builder",
        "COPY file `",
        "# a comment",
        "  /here",
        "FROM scratch AS Out",
        "COPY --from=builder /text /here /",
        "FROM out",
    )
    argv = ("build", "--builder", "buildah", "--", "-t", "result", "--target", "out", shop.context)
    shop.person.notarypy(*argv).expect(0)
    assert shop.read("result", "here") == "mine"
    assert shop.read("result", "text") != "not for images"


def test_what_is_signed_was_built_just_now_and_in_the_store_that_was_named(
    workshop_of_alice: Workshop, new_repository: Callable[[], Repository]
) -> None:
    shop, result = workshop_of_alice, new_repository()
    shop.person.notarypy("init", result.name).expect(0)
    shop.write("FROM scratch", "COPY secret /")
    shop.buildah("build", "-t", result.ref("1"), shop.context).expect(0)
    shop.write(f"FROM {shop.base.ref('1')}", "COPY file /")
    argv = ("build", "--builder", "buildah", "--sign", result.ref("1"), "--")
    nothing = shop.person.notarypy(*argv, "--help", shop.context).expect(1)
    assert "does not say which image it has built" in nothing.stderr
    shop.person.notarypy("verify", result.ref("1")).expect(3)
    home = shop.person.home
    store = ("--root", f"{home}/other", "--runroot", f"{home}/other-run", "--storage-driver=vfs")
    done = shop.person.notarypy(*argv, *store, shop.context).expect(0)
    digest = done.stdout.split()[-1]
    assert shop.read(f"{result.name}@{digest}", "file") == "mine"


def test_buildah_needs_no_file_in_the_configuration_of_docker(workshop_of_alice: Workshop) -> None:
    shop = workshop_of_alice
    del shop.person.environment["REGISTRY_AUTH_FILE"]
    folder = shop.person.home / "docker"
    shutil.copytree(shop.person.home / ".docker", folder)
    (folder / "config.json").unlink(missing_ok=True)
    shop.person.environment["DOCKER_CONFIG"] = str(folder)
    shop.write(f"FROM {shop.base.ref('1')}")
    shop.person.notarypy("build", "--builder", "buildah", "--", "-t", "x", shop.context).expect(0)
