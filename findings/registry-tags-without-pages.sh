#!/usr/bin/env bash
# Debian's docker-registry 2.8.2: pages of `tags/list`.
#
# Expected: `n` and `last` page the list of tags as they page the catalog, in lexical order, with a Link header;
# a repository whose last tag is gone has an empty list.
# Seen: `n=1` and `last=zzz` are ignored without an error and all tags come, in no order; the catalog of the same
# server is paged. After the only manifest was deleted `tags` is null.
# A repository that has only an index, and no blob of its own, is in no catalog.
# So a client that waits for a shorter page, or for an empty one after the last name, never ends.
set -euo pipefail
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
apt-get download -q docker-registry=2.8.2+ds1-1 >/dev/null
dpkg -x docker-registry_*.deb program
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\nhttp: {addr: 127.0.0.1:%s}\n' \
  "$work/data" "$port" >config.yml
program/usr/bin/docker-registry serve config.yml >log 2>&1 &
server=$!
cat >ask.py <<'PY'
import hashlib, json, sys, time, urllib.request

base = f"http://127.0.0.1:{sys.argv[1]}/v2/"
INDEX = "application/vnd.oci.image.index.v1+json"


def send(method, path, body=None, **headers):
    request = urllib.request.Request(base + path, body, {k.replace("_", "-"): v for k, v in headers.items()}, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.headers, answer.read()


def blob(name):
    data = b"{}"
    place = send("POST", f"{name}/blobs/uploads/")[0]["Location"].partition("/v2/")[2]
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    send("PUT", f"{place}&digest={digest}", data, Content_Type="application/octet-stream")


for _ in range(100):
    try:
        send("GET", "")
        break
    except OSError:
        time.sleep(0.1)
empty = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
for name, tag in (("a", "1"), ("b", "1"), ("b", "2"), ("b", "3")):
    headers, _ = send("PUT", f"{name}/manifests/{tag}", empty, Content_Type=INDEX)
_, body = send("GET", "_catalog")
print("_catalog, no blobs yet:", body.decode().strip())
assert json.loads(body)["repositories"] == []
for name in ("a", "b"):
    blob(name)
for query in ("?n=1", "?last=zzz", "?n=1&last=3"):
    headers, body = send("GET", f"b/tags/list{query}")
    tags = json.loads(body)["tags"]
    print("tags/list" + query, sorted(tags), "Link:", headers["Link"])
    assert sorted(tags) == ["1", "2", "3"]
    assert headers["Link"] is None
headers, body = send("GET", "_catalog?n=1")
print("_catalog?n=1", json.loads(body)["repositories"], "Link:", headers["Link"])
assert json.loads(body)["repositories"] == ["a"]
assert "next" in headers["Link"]
digest = send("HEAD", "a/manifests/1", Accept=INDEX)[0]["Docker-Content-Digest"]
send("DELETE", f"a/manifests/{digest}")
body = json.loads(send("GET", "a/tags/list")[1])
print("after the last tag:", body)
assert body == {"name": "a", "tags": None}
PY
python3 ask.py "$port"
