import { createPrivateKey, sign } from 'node:crypto';
import { argv } from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';
import { toKid, toPublicJwk } from '../../lib/root-key.ts';
import { createPublicKey } from 'node:crypto';
import { openLogSealer } from './seal-under-faults.ts';

// A sealer as one process: `node test/support/sealer-process.ts <tables> <name> <root key, PKCS #8, base64>`. It seals
// again and again until it is killed, and says each time how that went.
const [, , url = '', name = '', pem = ''] = argv;
const key = createPrivateKey({
  key: Buffer.from(pem, 'base64'),
  format: 'der',
  type: 'pkcs8',
});
const publicJwk = toPublicJwk(createPublicKey(key));
const root = {
  kid: toKid(publicJwk),
  publicJwk,
  sign: async (data: Buffer) => sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }),
};
const sealer = openLogSealer({ url: new URL(url), name, root });
for (;;) {
  const run = await sealer.seal();
  process.stdout.write(`${JSON.stringify(run)}\n`);
  await wait(1);
}
