import { randomBytes, X509Certificate, createPrivateKey, webcrypto } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type * as X509 from '@peculiar/x509';

/** Where the certificates are, all in PEM. A client that trusts `ca` accepts the server. */
export interface Certificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

// Browsers refuse server certificates that are valid for more than 398 days.
const validDays = 397;
const renewalDays = 30;
const dayMilliseconds = 86_400_000;
const curve = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/**
 * Returns a server certificate for localhost, 127.0.0.1 and ::1 with the authority that issued it,
 * kept in the folder until 30 days before it expires. The authority's key is never stored, so
 * nobody can use a trusted `ca` to issue another certificate; a renewal makes a new authority.
 */
export async function ensureCertificates(folder: string, now: Date): Promise<Certificates> {
  const files = {
    ca: join(folder, 'ca.pem'),
    certificate: join(folder, 'gateway.pem'),
    key: join(folder, 'gateway-key.pem'),
  };
  if (!areUsable(files, now)) await issue(files, now);
  return files;
}

function areUsable(files: Certificates, now: Date): boolean {
  try {
    const ca = new X509Certificate(readFileSync(files.ca));
    const certificate = new X509Certificate(readFileSync(files.certificate));
    const renewal = now.getTime() + renewalDays * dayMilliseconds;
    return (
      Date.parse(certificate.validTo) > renewal &&
      certificate.verify(ca.publicKey) &&
      certificate.checkPrivateKey(createPrivateKey(readFileSync(files.key)))
    );
  } catch {
    return false;
  }
}

async function issue(files: Certificates, now: Date): Promise<void> {
  const x509 = await loadX509();
  const authority = await createKeys();
  const server = await createKeys();
  const common = {
    // An hour back: the clocks of two machines, or of a container and its host, differ.
    notBefore: new Date(now.getTime() - 3_600_000),
    notAfter: new Date(now.getTime() + validDays * dayMilliseconds),
    signingAlgorithm: curve,
  };
  // A name of its own for each authority: a trust store that holds an older
  // one must not try the wrong key.
  const name = `CN=Sallyport local CA ${randomBytes(4).toString('hex')}`;
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...common,
    name,
    keys: authority,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(authority.publicKey),
    ],
  });
  const certificate = await x509.X509CertificateGenerator.create({
    ...common,
    subject: 'CN=localhost',
    issuer: name,
    publicKey: server.publicKey,
    signingKey: authority.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(authority.publicKey),
    ],
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', server.privateKey);
  replaceFile(files.key, x509.PemConverter.encode(key, 'PRIVATE KEY'), 0o600);
  replaceFile(files.certificate, `${certificate.toString('pem')}\n`, 0o644);
  replaceFile(files.ca, `${ca.toString('pem')}\n`, 0o644);
}

async function loadX509(): Promise<typeof X509> {
  // @peculiar/x509 finds its parts through tsyringe, which refuses to load without the calls of
  // the metadata proposal and needs their answers only for injected constructors; there are none.
  const nothing = (): undefined => undefined;
  const missing = { getMetadata: nothing, getOwnMetadata: nothing, defineMetadata: nothing };
  if (!('getMetadata' in Reflect)) Object.assign(Reflect, missing);
  return import('@peculiar/x509');
}

async function createKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(curve, true, ['sign', 'verify']);
}

function replaceFile(path: string, content: string, mode: number): void {
  const next = `${path}.next`;
  writeFileSync(next, content, { mode });
  renameSync(next, path);
}
