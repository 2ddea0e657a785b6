#!/usr/bin/env bash
# notary 0.7.0 of Debian 12: `addhash` with a size that begins with zeros, as programs that pad numbers write it.
#
# Expected: `addhash GUN NAME 0000000010 --sha256 ...` signs ten bytes; sizes are decimal wherever Notary shows them.
# Seen: it signs eight, without a word: a leading zero makes the number octal (and `0x10` is 16). With an 8 or a 9 in it
# the same padding is an error. Its own `verify` compares hashes alone and takes the ten bytes; a client that reads no
# more than is signed, as TUF has it, does not.
# So a script takes the zeros off, and a client reads sizes in decimal alone.
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
gun=registry.example.com/files
printf 'ten bytes\n' >ten
hash=$(sha256sum ten | cut -d ' ' -f 1)
as init "$gun" -p
as addhash "$gun" plain 10 --sha256 "$hash" -p
as addhash "$gun" padded 0000000010 --sha256 "$hash" -p
as addhash "$gun" hexadecimal 0x10 --sha256 "$hash" -p
as list "$gun" | tee listed
grep -Eq "^plain +$hash +10 " listed
grep -Eq "^padded +$hash +8 " listed
grep -Eq "^hexadecimal +$hash +16 " listed
as verify "$gun" plain <ten
as verify "$gun" padded <ten
if as addhash "$gun" nine 0000000019 --sha256 "$hash" >said 2>&1; then cat said; exit 1; fi
cat said
