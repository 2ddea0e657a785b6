#!/usr/bin/env bash
# notary 0.7.0 of Debian 12: `key rotate GUN targets --key FILE` with the key that the role has already, as after a
# rotation whose answer was lost.
#
# Expected: nothing is to be done, or the same key signs the same role again.
# Seen: "signing keys not available", and the key's file is gone from the trust directory: the old keys of the role are
# deleted before the new ones sign, and here they are the same. Nothing was published, so the repository needs that key.
# So whoever repeats a rotation keeps the key's file elsewhere, or looks first which key the role has.
set -euo pipefail
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq -o APT::Sandbox::User=root notary=0.7.0+ds1-2+b6
dpkg-deb -x notary_*.deb tree
PATH=$work/tree/usr/bin:$PATH
export NOTARY_{ROOT,TARGETS,SNAPSHOT,DELEGATION}_PASSPHRASE=passphrase
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout tls.key -out tls.crt -days 2 2>/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >server.json <<JSON
{"server": {"http_addr": "127.0.0.1:$port", "tls_cert_file": "tls.crt", "tls_key_file": "tls.key"},
 "trust_service": {"type": "local"}, "logging": {"level": "error"}, "storage": {"backend": "memory"}}
JSON
notary-server -config server.json >log 2>&1 &
server=$!
until curl -s --cacert tls.crt "https://localhost:$port/v2/" >/dev/null; do sleep 0.1; done
as() { notary -s "https://localhost:$port" --tlscacert tls.crt -d trust "$@"; }
gun=registry.example.com/app
openssl ecparam -name prime256v1 -genkey -noout -out team.key
as init "$gun" -p
as key rotate "$gun" targets --key team.key
as key list | tee before
if as key rotate "$gun" targets --key team.key >said 2>&1; then cat said; exit 1; fi
cat said
grep -q 'signing keys not available' said
as key list | tee after
grep -q '^targets ' before
if grep -q '^targets ' after; then exit 1; fi
printf 'content\n' >content
as add "$gun" v1 content
if as publish "$gun" >said 2>&1; then cat said; exit 1; fi
cat said
