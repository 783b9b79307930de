import type { KeyObject } from 'node:crypto';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer } from 'node:https';
import { json } from 'node:stream/consumers';
import * as z from 'zod';
import type { PublicJwk } from '../../lib/root-key.ts';
import { toPublicJwk } from '../../lib/root-key.ts';
import { ensureCertificates } from '../../local/certificates.ts';

/** What a fake vault does when it is asked; changed by a test as it goes. */
type VaultMood = {
  /** Answers every call so, once a token is there. */
  status?: number;
  /** Signs with another key than it shows, or as DER. */
  signature?: 'foreign' | 'der';
  kty?: 'EC' | 'EC-HSM';
  curve?: 'P-256' | 'P-384';
};

/** A stand-in for Key Vault on loopback: its challenge, its key and its signatures, over TLS. */
export type FakeVault = {
  readonly url: URL;
  readonly agent: Agent;
  readonly publicJwk: PublicJwk;
  readonly mood: VaultMood;
  /** Methods and paths of the calls, with the token of each. */
  readonly calls: string[];
  /** Lets the vault sign this; a real one signs any digest, but Node can sign only what it hashes itself. */
  readonly expect: (data: Buffer) => void;
  readonly close: () => Promise<void>;
};

const host = 'sallyport.vault.azure.net';
const challenge =
  'Bearer authorization="https://login.microsoftonline.com/7f0f", resource="https://vault.azure.net"';
const signShape = z.strictObject({ alg: z.literal('ES256'), value: z.string() });

/** Starts a fake vault whose certificates are kept in the folder. */
export async function startFakeVault(folder: string): Promise<FakeVault> {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicJwk = toPublicJwk(pair.publicKey);
  const mood: VaultMood = {};
  const calls: string[] = [];
  const known = new Map<string, Buffer>();
  const certificates = await ensureCertificates(folder, new Date());
  const tls = {
    cert: await readFile(certificates.certificate),
    key: await readFile(certificates.key),
  };
  const signDigest = (digest: string): Buffer => {
    const data = known.get(digest) ?? Buffer.alloc(0);
    const signer: KeyObject = mood.signature === 'foreign' ? foreign.privateKey : pair.privateKey;
    const dsaEncoding = mood.signature === 'der' ? 'der' : 'ieee-p1363';
    return sign('sha256', data, { key: signer, dsaEncoding });
  };
  const answer = async (request: IncomingMessage): Promise<object> => {
    const kid = `https://${request.headers.host ?? ''}${request.url?.split('?')[0]?.replace('/sign', '') ?? ''}`;
    if (request.method === 'GET') {
      const { kty = 'EC', curve = 'P-256' } = mood;
      return { key: { ...publicJwk, kid, kty, crv: curve, key_ops: ['sign', 'verify'] } };
    }
    const { value } = signShape.parse(await json(request));
    return { kid, value: signDigest(value).toString('base64url') };
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { authorization = 'none' } = request.headers;
    calls.push(`${request.method ?? ''} ${request.url?.split('?')[0] ?? ''} ${authorization}`);
    if (authorization === 'none')
      return void response.writeHead(401, { 'www-authenticate': challenge }).end();
    if (mood.status !== undefined) return void response.writeHead(mood.status).end('{}');
    const body = JSON.stringify(await answer(request));
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  };
  const server = createServer(tls, (request, response) => {
    serve(request, response).catch(() => request.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  return {
    url: new URL(`https://${host}:${port}/keys/root/0123456789abcdef`),
    agent: new Agent({
      ca: await readFile(certificates.ca),
      // The certificate is of localhost, whatever name of a vault the SDK insists on.
      servername: 'localhost',
      lookup: (_, __, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
    }),
    publicJwk,
    mood,
    calls,
    expect: (data) => {
      known.set(createHash('sha256').update(data).digest('base64url'), data);
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
