// The verifier of npm's sigstore: BUNDLE KEY.pem DIGEST. It prints the statement if its signature is valid with this
// key, under the hint that the bundle names, and about this digest; else it fails with what was wrong.
'use strict';
const { createHash, createPublicKey } = require('crypto');
const { readFileSync } = require('fs');
const { bundleFromJSON } = require('@sigstore/bundle');
const { Verifier, toSignedEntity, toTrustMaterial } = require('@sigstore/verify');

const [bundleFile, keyFile, digest] = process.argv.slice(2);
const key = createPublicKey(readFileSync(keyFile));
const hint = createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest('base64');
const nobody = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
const trust = toTrustMaterial(nobody, { [hint]: { rawBytes: readFileSync(keyFile, 'utf8') } });
const verifier = new Verifier(trust, { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 });

try {
  const bundle = bundleFromJSON(JSON.parse(readFileSync(bundleFile)));
  verifier.verify(toSignedEntity(bundle));
  const statement = JSON.parse(bundle.content.dsseEnvelope.payload);
  if (!statement.subject.some((subject) => `sha256:${subject.digest.sha256}` === digest)) {
    throw new Error(`not about ${digest}`);
  }
  console.log(JSON.stringify(statement));
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
}
