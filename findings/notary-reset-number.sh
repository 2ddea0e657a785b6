#!/usr/bin/env bash
# notary 0.7.0 of Debian 12: a change file that is cut short, as a full disk or a kill leaves one (they are not written
# as a whole), beside good ones.
#
# Expected: `reset -n N` drops the change that `status` shows as number N.
# Seen: `status` passes over the file and numbers the others; `reset -n` counts it. So `reset -n 1` drops number 0, says
# that the change was reset, and number 1 is published by the next `publish`. `reset --all` drops everything.
# So whoever reads change files numbers those that it shows, and writes them under another name first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq -o APT::Sandbox::User=root notary=0.7.0+ds1-2+b6
dpkg-deb -x notary_*.deb tree
PATH=$work/tree/usr/bin:$PATH
notary -d trust add example.com/a keep <(echo 1)
notary -d trust add example.com/a drop <(echo 2)
head -c 30 "$(find trust -name '*.change' | sort | head -n 1)" > trust/tuf/example.com/a/changelist/00000000000000000000_cut.change
notary -d trust status example.com/a | tee before
grep -q '^0 .* keep$' before
grep -q '^1 .* drop$' before
notary -d trust reset example.com/a -n 1
notary -d trust status example.com/a | tee after
grep -q '^0 .* drop$' after
test "$(grep -c target after)" = 1
