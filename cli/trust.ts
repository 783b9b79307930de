import { readFileSync } from 'node:fs';
import * as tls from 'node:tls';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-code.ts';

/** The authorities that `https:` and `wss:` connections accept; those of Node where none is given. */
export type Trust = { readonly ca?: readonly string[] };

/** Returns the usual authorities and those in the file, or fails with a usage error when it has none. */
export function readTrust(caFile: string | undefined): Trust {
  if (caFile === undefined) return {};
  const pem = readPem(caFile);
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw new CommandError(exitCodes.usage, `The CA file ${caFile} has no certificate in PEM.`);
  return { ca: [...findUsualAuthorities(), pem] };
}

function readPem(caFile: string): string {
  try {
    return readFileSync(caFile, 'utf8');
  } catch (cause) {
    throw new CommandError(exitCodes.usage, `The CA file ${caFile} cannot be read.`, { cause });
  }
}

// Node 20 does not have the call, and an import of it by name would not even load there.
function findUsualAuthorities(): readonly string[] {
  const list: typeof tls.getCACertificates | undefined = tls.getCACertificates;
  return list === undefined ? tls.rootCertificates : list('default');
}
