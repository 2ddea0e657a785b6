#!/usr/bin/env bash
# notary 0.7.0 of Debian 12: custom data with whole numbers beyond 2^53, such as times in nanoseconds.
#
# Expected: whole numbers are signed as they are, as Go's own type for raw JSON keeps them; or all beyond 2^53 are refused
# when they are given, as JSON's readers differ about them.
# Seen: `add --custom` takes any, and the number decides what `publish` makes of it. One that a double has exactly (2^60,
# 1700000000000000000) is published and read by everybody. One that no double has (2^53 + 1) is refused by the server, as a
# signature that is not valid: the client signed other digits. The entry stays staged, and nothing else can be published
# until it is reset.
# So a nanosecond clock that mostly ends in zeros works until it does not: such numbers are written as text.
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
echo content >file
as init "$gun" -p >/dev/null
for number in 1152921504606846976 1700000000000000000 9007199254740993; do
  echo "{\"time\": $number}" >custom
  as add "$gun" "file-$number" file --custom custom >/dev/null
  code=0
  as publish "$gun" >said 2>&1 || code=$?
  echo "$number: exit code $code: $(tail -n 1 said)"
  case $number in 9007199254740993) test "$code" = 1 ;; *) test "$code" = 0 ;; esac
  curl -s --cacert tls.crt "https://localhost:$port/v2/$gun/_trust/tuf/targets.json" | grep -o '"time":[0-9]*' | sort -u
done
as add "$gun" plain file >/dev/null
if as publish "$gun" >said 2>&1; then cat said; exit 1; fi
echo "an entry without custom data: $(tail -n 1 said)"
as reset "$gun" -n 0 >/dev/null
as publish "$gun" >/dev/null
as list "$gun"
