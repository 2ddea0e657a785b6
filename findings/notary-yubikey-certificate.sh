#!/usr/bin/env bash
# notary 0.7.0 of Debian 12 (built with Go 1.19), and a root key on a token, as Notary has them on YubiKeys.
#
# Expected: Notary finds the key and makes a root certificate with it, as its documentation shows.
# Seen: it finds the key, signs, and refuses its own signature: "signature over certificate returned by signer is
# invalid". Its code for tokens returns r and s without DER and hashes again what was hashed for the certificate. Older
# versions of Go did not look, so there are root certificates from then whose own signature is not valid; Notary looks
# at them no more than Go did. Signing metadata works.
# So who reads such repositories must not insist on the signature of a certificate that made itself, and who renews
# certificates must know this kind.
#
# SoftHSM stands for the YubiKey: it is put where Notary looks for Yubico's module, in a mount namespace. Needs root.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq -o APT::Sandbox::User=root notary=0.7.0+ds1-2+b6 softhsm2 softhsm2-common libsofthsm2 opensc opensc-pkcs11
for package in *.deb; do dpkg-deb -x "$package" tree; done
module=$(echo "$work"/tree/usr/lib/*/softhsm/libsofthsm2.so)
LD_LIBRARY_PATH=$(dirname "$(dirname "$module")")
PATH=$work/tree/usr/bin:$PATH
export LD_LIBRARY_PATH PATH SOFTHSM2_CONF=$work/softhsm2.conf
mkdir tokens
echo "directories.tokendir = $work/tokens" >softhsm2.conf
softhsm2-util --module "$module" --init-token --free --label yubikey --pin 123456 --so-pin 12345678
openssl ecparam -name prime256v1 -genkey -noout -out key.pem
openssl ec -in key.pem -outform DER -out privkey.der
openssl ec -in key.pem -pubout -outform DER -out pubkey.der
openssl req -new -x509 -days 365 -subj /CN=root -key key.pem -outform DER -out cert.der
for kind in privkey pubkey cert; do
  pkcs11-tool --module "$module" --login --pin 123456 --id 02 --label "$kind" --type "$kind" --write-object "$kind.der"
done
as_yubikey='mount -t tmpfs none /usr/local/lib && ln -s "$0" /usr/local/lib/libykcs11.so && exec notary -d trust "$@"'
unshare --mount sh -c "$as_yubikey" "$module" key list | tee listed
grep -q yubikey listed
NOTARY_TARGETS_PASSPHRASE=passphrase NOTARY_SNAPSHOT_PASSPHRASE=passphrase \
  unshare --mount sh -c "$as_yubikey" "$module" -s https://127.0.0.1:9 init registry.example.com/app 2>&1 | tee said || true
grep -q 'signature over certificate returned by signer is invalid' said
