#!/usr/bin/env bash
# tpm2-pkcs11 1.9.0 of Debian 12 on swtpm: making a P-256 key that is for signing alone.
#
# Expected: a key pair whose template says SIGN and VERIFY and nothing else, as every other module makes it; a TPM has
# keys for signing alone.
# Seen: GeneralError, and on standard error a mismatch of an attribute between user and TPM, and words about RSA. The
# same pair with ENCRYPT and DECRYPT on top is made, and signs. What the failure left in the TPM stays there: on a bare
# TPM the next command finds no room ("out of memory for object contexts") until somebody flushes it.
# So who makes keys by PKCS #11 asks a TPM for more than is needed, and not by trying both ways.
set -euo pipefail
work=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq -o APT::Sandbox::User=root swtpm swtpm-libs libtpms0 libtpm2-pkcs11-1 libtss2-esys-3.0.2-0 \
  libtss2-mu0 libtss2-rc0 libtss2-sys1 libtss2-tctildr0 libtss2-tcti-swtpm0 libtss2-tcti-device0 opensc opensc-pkcs11
for package in *.deb; do dpkg-deb -x "$package" tree; done
python3 -m venv env
env/bin/pip install -q python-pkcs11==0.10.1
module=$(echo "$work"/tree/usr/lib/*/pkcs11/libtpm2_pkcs11.so)
libraries=$(dirname "$(dirname "$module")")
mkdir state store
LD_LIBRARY_PATH=$libraries:$libraries/swtpm tree/usr/bin/swtpm socket --tpm2 --tpmstate dir=state \
  --flags not-need-init,startup-clear --server "type=unixio,path=$work/socket" \
  --ctrl "type=unixio,path=$work/socket.ctrl" >log 2>&1 &
server=$!
for _ in $(seq 100); do test -S socket && break; sleep 0.1; done
export LD_LIBRARY_PATH=$libraries TPM2_PKCS11_STORE=$work/store TPM2_PKCS11_TCTI=swtpm:path=$work/socket
tool() { tree/usr/bin/pkcs11-tool --module "$module" "$@"; }
tool --slot-index 0 --init-token --label tpm --so-pin 87654321
tool --token-label tpm --login --login-type so --so-pin 87654321 --init-pin --new-pin 12345678
cat >make.py <<'PY'
import sys

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag

also = sys.argv[2] == "more"
uses = MechanismFlag.SIGN | MechanismFlag.VERIFY
if also:
    uses |= MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT
token = pkcs11.lib(sys.argv[1]).get_token(token_label="tpm")
with token.open(rw=True, user_pin="12345678") as session:
    curve = {Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")}
    domain = session.create_domain_parameters(KeyType.EC, curve, local=True)
    try:
        _, private = domain.generate_keypair(label=sys.argv[2], store=True, capabilities=uses)
    except pkcs11.exceptions.GeneralError:
        print(sys.argv[2], "GeneralError")
        assert not also
    else:
        print(sys.argv[2], "made, and signs:", len(private.sign(bytes(32), mechanism=Mechanism.ECDSA)), "bytes")
        assert also
PY
env/bin/python make.py "$module" more
env/bin/python make.py "$module" alone
