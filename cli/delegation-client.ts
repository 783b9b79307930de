import * as z from 'zod';
import type { DelegationRequest, DelegationView } from '../lib/delegation.ts';
import { delegationViewShape } from '../lib/delegation.ts';
import type { delegationSides } from '../lib/delegation-index.ts';
import { parseAnswer } from './api-answer.ts';
import { createExchange } from './api-call.ts';
import type { Call } from './api-call.ts';
import { findBroker } from './context.ts';
import type { Context } from './context.ts';
import { chooseTokenSource } from './token-source.ts';

/** The calls of the broker about delegations. Each answer has been checked against its shape. */
export type Delegations = {
  /** Gives a delegation under a new id; safe to repeat. */
  readonly give: (id: string, request: DelegationRequest) => Promise<DelegationView>;
  /** Returns those of one side, or those that are usual for the caller; newest first. */
  readonly list: (side?: (typeof delegationSides)[number]) => Promise<readonly DelegationView[]>;
  readonly revoke: (id: string) => Promise<void>;
};

// A broker that always names one more page must not hold us for ever.
const maxPages = 1000;

const pageShape = z.object({ value: z.array(delegationViewShape), nextLink: z.url().optional() });

/** Returns a client of the broker that the settings or the login name. */
export async function openDelegations(context: Context): Promise<Delegations> {
  const profile = await context.store.read(context.settings.profile);
  const broker = findBroker(context.settings, profile);
  const getToken = chooseTokenSource(context, broker, profile);
  const exchange = createExchange(context.http, broker, getToken);
  const send = async <T>(call: Call, shape: z.ZodType<T>): Promise<T> =>
    parseAnswer(await exchange(call), shape, `${call.method} ${call.path}`);
  return {
    give: async (id, request) => {
      const call = { method: 'PUT', path: toPath(id), body: JSON.stringify(request) } as const;
      return send(call, delegationViewShape);
    },
    list: async (side) => {
      const all: DelegationView[] = [];
      const query = side === undefined ? '' : `?as=${side}`;
      let path: string | undefined = `api/delegations${query}`;
      for (let pages = 0; path !== undefined && pages < maxPages; pages += 1) {
        const page: z.infer<typeof pageShape> = await send({ method: 'GET', path }, pageShape);
        all.push(...page.value);
        path = page.nextLink;
      }
      return all;
    },
    revoke: async (id) => void (await send({ method: 'DELETE', path: toPath(id) }, z.unknown())),
  };
}

// An id may be what the user typed.
function toPath(id: string): string {
  return `api/delegations/${encodeURIComponent(id)}`;
}
