#!/usr/bin/env bash
# Debian's docker-registry 2.8.2: `Accept: */*` on a manifest.
#
# Expected: `*/*` takes anything, so the manifest comes as it was pushed, with its own type and digest.
# Seen: a schema 2 manifest comes back as a schema 1 document that the registry makes and signs by itself (type
# manifest.v1+prettyjws, another digest, another length), by GET and by HEAD; an OCI manifest is 404
# MANIFEST_UNKNOWN. Asked for by digest, the schema 2 manifest comes as it was pushed under the same header.
# So a client that compares a tag's digest must name the types, all of them.
set -euo pipefail
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
apt-get download -q docker-registry=2.8.2+ds1-1 >/dev/null
dpkg -x docker-registry_*.deb program
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: 127.0.0.1:%s}\n' \
  "$work/data" "$port" >config.yml
program/usr/bin/docker-registry serve config.yml >log 2>&1 &
server=$!
cat >ask.py <<'PY'
import hashlib, json, sys, time, urllib.error, urllib.request

base = f"http://127.0.0.1:{sys.argv[1]}"
SCHEMA2 = "application/vnd.docker.distribution.manifest.v2+json"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
OCI = "application/vnd.oci.image.manifest.v1+json"


def send(method, url, body=None, **headers):
    url = url if url.startswith("http") else base + url
    request = urllib.request.Request(url, body, {k.replace("_", "-"): v for k, v in headers.items()}, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def push(data):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    place = send("POST", "/v2/a/b/blobs/uploads/")[1]["Location"]
    assert send("PUT", f"{place}&digest={digest}", data, Content_Type="application/octet-stream")[0] == 201
    return digest


def manifest(kind, config_type, layer_type, config, layer):
    return json.dumps({
        "schemaVersion": 2, "mediaType": kind,
        "config": {"mediaType": config_type, "size": len(config), "digest": push(config)},
        "layers": [{"mediaType": layer_type, "size": len(layer), "digest": push(layer)}],
    }).encode()


for _ in range(100):
    try:
        send("GET", "/v2/")
        break
    except OSError:
        time.sleep(0.1)
config = json.dumps({
    "architecture": "amd64", "os": "linux", "config": {},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]},
    "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "x"}],
}).encode()
docker = manifest(SCHEMA2, "application/vnd.docker.container.image.v1+json",
                  "application/vnd.docker.image.rootfs.diff.tar.gzip", config, b"layer")
oci = manifest(OCI, "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip",
               config, b"layer")
assert send("PUT", "/v2/a/b/manifests/docker", docker, Content_Type=SCHEMA2)[0] == 201
assert send("PUT", "/v2/a/b/manifests/oci", oci, Content_Type=OCI)[0] == 201
digest = "sha256:" + hashlib.sha256(docker).hexdigest()
for method in ("GET", "HEAD"):
    status, headers, _ = send(method, "/v2/a/b/manifests/docker", Accept="*/*")
    print(method, "schema 2 by tag, */*:", status, headers["Content-Type"], "same digest:",
          headers["Docker-Content-Digest"] == digest)
    assert (status, headers["Content-Type"]) == (200, SCHEMA1)
    assert headers["Docker-Content-Digest"] != digest
status, headers, body = send("GET", f"/v2/a/b/manifests/{digest}", Accept="*/*")
print("GET schema 2 by digest, */*:", status, headers["Content-Type"])
assert (status, headers["Content-Type"], body) == (200, SCHEMA2, docker)
status, _, body = send("GET", "/v2/a/b/manifests/oci", Accept="*/*")
print("GET OCI by tag, */*:", status, json.loads(body)["errors"][0]["code"])
assert (status, json.loads(body)["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")
PY
python3 ask.py "$port"
