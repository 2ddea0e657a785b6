from __future__ import annotations

import gzip
import io
import json
import tarfile

import pytest

from notarypy.devserver import sample
from notarypy.devserver.core import REGISTRY_HOST
from notarypy.devserver.registryservice import RegistryService
from notarypy.errors import ServerError
from notarypy.images import manifests
from notarypy.images.manifests import digest_of
from notarypy.remote.http.messages import Response
from notarypy.remote.http.transport import Exchange
from support.fakes import make_fake


def test_the_same_text_makes_the_same_image() -> None:
    assert sample.make("one") == sample.make("one")
    assert sample.make("one").digest != sample.make("two").digest


def test_platforms_are_spelled_either_way_and_are_several() -> None:
    assert sample.make("one", ["linux/amd64", "arm64"]) == sample.make("one", ["amd64", "arm64"])
    named = {"amd64": (sample.MANIFEST, b"{}")}
    assert sample.index(named) == sample.index({"linux/amd64": named["amd64"]})
    with pytest.raises(TypeError, match="letters"):
        sample.make("one", "amd64")


def test_an_image_is_complete() -> None:
    made = sample.make("hello")
    assert manifests.read(made.top, made.media_type).platforms == ("linux/amd64", "linux/arm64")
    listed = [entry["digest"] for entry in json.loads(made.top)["manifests"]]
    assert listed == [digest_of(manifest) for manifest in made.manifests]
    blobs = {digest_of(blob): blob for blob in made.blobs}
    for manifest in map(json.loads, made.manifests):
        config, (layer,) = json.loads(blobs[manifest["config"]["digest"]]), manifest["layers"]
        archive = gzip.decompress(blobs[layer["digest"]])
        assert config["rootfs"]["diff_ids"] == [digest_of(archive)]
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            file = opened.extractfile("hello.txt")
            assert file is not None
            assert file.read() == b"hello\n"


def test_one_platform_needs_no_index() -> None:
    made = sample.make("hello", ["amd64"])
    assert (made.media_type, made.manifests) == (sample.MANIFEST, ())


def test_pushing_stores_everything() -> None:
    fake, made = make_fake(), sample.make("hello")
    digest = sample.push(Exchange(fake, timeout=5), f"https://{REGISTRY_HOST}", "a/b", "1", made)
    images = fake.registry.images
    assert images.tags("a/b") == {"1": digest}
    assert all(images.manifest("a/b", digest_of(manifest)) for manifest in made.manifests)
    assert all(images.blob("a/b", digest_of(blob)) == blob for blob in made.blobs)


def test_a_registry_that_does_not_take_it() -> None:
    fake = make_fake()
    fake.before.append(lambda _: Response(400))
    assert isinstance(fake.registry, RegistryService)
    with pytest.raises(ServerError):
        sample.push(Exchange(fake, timeout=5), f"https://{REGISTRY_HOST}", "a", "1", sample.make("x"))
