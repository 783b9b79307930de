import { createPublicKey, sign, verify } from 'node:crypto';
import type { Permission } from '../../lib/ticket.ts';
import { signTicket, ticketSeconds, verifyTicket } from '../../lib/ticket.ts';
import { testKeys } from '../support/test-broker.ts';
import type { Effort } from './effort.ts';
import type { Part } from './figure.ts';
import type { Call } from './micro.ts';
import { measureCalls } from './micro.ts';

const broker = 'https://broker.test';
const gateway = 'bench';

/** Measures what it costs to sign and to verify a ticket, beside the bare signature. */
export async function measureTickets(effort: Effort): Promise<readonly Part[]> {
  return [measureCalls('Tickets, in this process', await prepareTickets(), effort)];
}

async function prepareTickets(): Promise<readonly Call[]> {
  const now = new Date();
  const keys = testKeys(() => now, broker);
  const key = await keys.current();
  const permission = toPermission(now);
  const ticket = signTicket(permission, broker, key);
  const verifier = { roots: keys.roots, issuer: broker, gateway };
  const data = Buffer.from(ticket);
  const signature = sign('sha256', data, key.privateKey);
  const publicKey = createPublicKey(key.privateKey);
  const bare = { sign: 'ECDSA P-256 alone: sign', verify: 'ECDSA P-256 alone: verify' };
  return [
    { name: bare.sign, run: () => void sign('sha256', data, key.privateKey) },
    {
      name: 'sign a ticket',
      base: bare.sign,
      run: () => void signTicket(permission, broker, key),
    },
    {
      name: bare.verify,
      run: () => {
        if (!verify('sha256', data, publicKey, signature)) throw new Error('not verified');
      },
    },
    {
      name: 'verify a ticket and its endorsement',
      base: bare.verify,
      run: () => {
        const found = verifyTicket(ticket, verifier, now).permission;
        if (found.ticket !== permission.ticket) throw new Error('another ticket was read');
      },
    },
  ];
}

function toPermission(now: Date): Permission {
  return {
    ticket: '7c4e7000-0000-4000-8000-000000000001',
    session: '5e551000-0000-4000-8000-000000000001',
    caller: '0a000000-0000-4000-8000-00000000000a.0b000000-0000-4000-8000-00000000000b',
    gateway,
    target: '0e000000-0000-4000-8000-00000000000e',
    protocol: 'ssh',
    host: '10.0.0.4',
    port: 22,
    deadline: new Date(now.getTime() + 3_600_000),
    terms: { maxDurationSeconds: 3600 },
    policy: 'be4c'.repeat(11),
    issuedAt: now,
    expiresAt: new Date(now.getTime() + ticketSeconds * 1000),
  };
}
