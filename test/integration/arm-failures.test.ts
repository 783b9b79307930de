import { describe, expect, test } from 'vitest';
import { createArmTargets } from '../../lib/azure/arm-targets.ts';
import { fakeArm, readError } from '../support/fake-arm.ts';
import type { FakeArm, Reply } from '../support/fake-arm.ts';

const subscription = '11111111-1111-4111-8111-111111111111';
const vmPath = `/subscriptions/${subscription}/resourcegroups/rg-app/providers/microsoft.compute/virtualmachines/vm-web-1`;
const nicPath = `/subscriptions/${subscription}/resourcegroups/rg-app/providers/microsoft.network/networkinterfaces/nic-web-1`;
const reference = { kind: 'arm', armId: vmPath } as const;
const { signal } = new AbortController();

function sourceOf(arm: FakeArm, changes: Partial<Parameters<typeof createArmTargets>[0]> = {}) {
  return createArmTargets({
    ...arm,
    subscriptions: [subscription],
    now: () => new Date('2026-01-05T12:00:00Z'),
    log: () => {},
    ...changes,
  });
}

/** A fake whose answer about the VM, or about its network interface, is the reply. */
function armThat(path: string, ...replies: readonly [Reply, ...Reply[]]): FakeArm {
  const arm = fakeArm(['vm-linux-running', 'nic-simple']);
  arm.answer(path, ...replies);
  return arm;
}

async function findHost(arm: FakeArm, changes = {}) {
  const source = sourceOf(arm, changes);
  const target = await source.find(reference, signal);
  return target && source.findHost(target, signal);
}

describe('find', () => {
  test.each(['404-resource', '404-group', '404-subscription', '403'])(
    'finds nothing after one call when ARM answers %s',
    async (name) => {
      const arm = armThat(vmPath, readError(name));
      expect(await sourceOf(arm).find(reference, signal)).toBeUndefined();
      expect(arm.calls).toEqual([vmPath]);
    },
  );

  test('logs for the operator what the broker may not read, and not what is absent', async () => {
    const logged: unknown[] = [];
    const log = (...line: unknown[]): void => void logged.push(line);
    await sourceOf(armThat(vmPath, readError('404-resource')), { log }).find(reference, signal);
    await sourceOf(armThat(vmPath, readError('403')), { log }).find(reference, signal);
    expect(logged).toEqual([['arm-forbidden', { armId: vmPath }]]);
  });

  test('answers a claims challenge of ARM with a token that satisfies it', async () => {
    const claims: unknown[] = [];
    const credential = {
      getToken: async (_: unknown, options: { readonly claims?: string } = {}) => {
        claims.push(options.claims);
        return { token: `token ${claims.length}`, expiresOnTimestamp: Date.now() + 3_600_000 };
      },
    };
    const arm = fakeArm(['nic-simple']);
    arm.answer(vmPath, readError('401-claims-challenge'), readError('404-resource'));
    expect(await sourceOf(arm, { credential }).find(reference, signal)).toBeUndefined();
    expect(claims).toEqual([
      undefined,
      '{"access_token":{"nbf":{"essential":true, "value":"1604106651"}}}',
    ]);
  });

  test('repeats a call once when the connection is lost or the server fails', async () => {
    for (const reply of ['reset', readError('503')] as const) {
      const arm = fakeArm(['vm-linux-running']);
      arm.answer(vmPath, reply, readError('404-resource'));
      expect(await sourceOf(arm).find(reference, signal)).toBeUndefined();
      expect(arm.calls).toEqual([vmPath, vmPath]);
    }
  });
});

describe('every call', () => {
  const unavailable: readonly (readonly [string, Reply])[] = [
    ['an expired token', readError('401-expired')],
    ['503', readError('503')],
    ['502 with a page of HTML', readError('502-html')],
    ['400', { status: 400, text: '{"error":{"code":"InvalidApiVersionParameter"}}' }],
    ['a redirect to another path', { status: 302, headers: { location: '/other' }, text: '' }],
    [
      'a redirect elsewhere',
      { status: 302, headers: { location: 'https://example.com/' }, text: '' },
    ],
    ['a body that is not JSON', { text: '<html>' }],
    ['a body without what is needed', { text: '{"value":1}' }],
    ['a lost connection', 'reset'],
  ];

  test.each(unavailable)('fails with targets-unavailable after %s', async (name, reply) => {
    await expect(findHost(armThat(nicPath, reply))).rejects.toMatchObject({
      code: 'targets-unavailable',
    });
    // A VM without facts is one that cannot be shown, so that one odd VM does not fail a list.
    if (name === 'a body without what is needed') return;
    await expect(findHost(armThat(vmPath, reply))).rejects.toMatchObject({
      code: 'targets-unavailable',
    });
  });

  test('fails with targets-unavailable when there is no token', async () => {
    const credential = { getToken: async () => Promise.reject(new Error('no identity here')) };
    const arm = fakeArm(['vm-linux-running']);
    await expect(findHost(arm, { credential })).rejects.toMatchObject({
      code: 'targets-unavailable',
      cause: new Error('no identity here'),
    });
    expect(arm.calls).toEqual([]);
  });

  test('sends no token to an address without TLS', async () => {
    const arm = fakeArm(['vm-linux-running']);
    const endpoint = new URL('http://127.0.0.1:1');
    await expect(findHost(arm, { endpoint })).rejects.toMatchObject({
      code: 'targets-unavailable',
    });
    expect(arm.calls).toEqual([]);
  });

  test('asks ARM of another cloud for what its token is good for', async () => {
    const scopes: unknown[] = [];
    const arm = fakeArm(['vm-linux-running', 'nic-simple']);
    const credential = {
      getToken: async (scope: unknown) => {
        scopes.push(scope);
        return arm.credential.getToken('');
      },
    };
    const endpoint = new URL('https://management.chinacloudapi.cn/');
    expect(await findHost(arm, { endpoint, credential })).toBe('10.20.0.4');
    expect(scopes).toEqual([['https://management.chinacloudapi.cn/.default']]);
    expect(arm.requests.map(({ url }) => new URL(url).host)).toEqual([
      'management.chinacloudapi.cn',
      'management.chinacloudapi.cn',
    ]);
  });

  test.each([
    ['429-compute', 17],
    ['429-arm', 5],
    ['429-without-retry-after', 5],
  ])('fails with targets-throttled after %s and passes on %i s', async (name, seconds) => {
    for (const path of [vmPath, nicPath])
      await expect(findHost(armThat(path, readError(name)))).rejects.toMatchObject({
        code: 'targets-throttled',
        details: { retryAfterSeconds: seconds },
      });
  });

  // The SDK would sleep for the hour.
  test.each([429, 503])('does not wait when ARM answers %i for an hour', async (status) => {
    const reply = { status, headers: { 'retry-after': '3600' }, text: '{}' };
    for (const path of [vmPath, nicPath]) {
      const arm = armThat(path, reply);
      await expect(findHost(arm)).rejects.toMatchObject({
        code: 'targets-throttled',
        details: { retryAfterSeconds: 300 },
      });
      expect(arm.calls.filter((call) => call === path)).toHaveLength(1);
    }
  });

  test.each(['silent', 'deaf'] as const)(
    'fails with targets-timeout when its time is up and ARM is %s',
    async (reply) => {
      for (const path of [vmPath, nicPath])
        await expect(
          findHost(armThat(path, reply), { deadlineMilliseconds: 30 }),
        ).rejects.toMatchObject({ code: 'targets-timeout' });
    },
  );

  test('ends when its caller ends it, and before it starts when its caller has', async () => {
    const caller = new AbortController();
    const arm = armThat(vmPath, 'deaf');
    const found = sourceOf(arm).find(reference, caller.signal);
    caller.abort();
    await expect(found).rejects.toMatchObject({ code: 'targets-timeout' });
    await expect(sourceOf(arm).find(reference, caller.signal)).rejects.toMatchObject({
      code: 'targets-timeout',
    });
  });

  test('ends when the credential never answers', async () => {
    const credential = { getToken: async () => new Promise<never>(() => {}) };
    const changes = { credential, deadlineMilliseconds: 30 };
    await expect(findHost(fakeArm(), changes)).rejects.toMatchObject({ code: 'targets-timeout' });
  });

  test('works again as soon as ARM does', async () => {
    const arm = armThat(vmPath, readError('429-arm'));
    const source = sourceOf(arm);
    await expect(source.find(reference, signal)).rejects.toMatchObject({
      code: 'targets-throttled',
    });
    arm.answer(vmPath, readError('404-resource'));
    expect(await source.find(reference, signal)).toBeUndefined();
  });

  test('tells no id, address or token in a message', async () => {
    for (const reply of [readError('503'), readError('429-compute'), readError('401-expired')]) {
      const failure: unknown = await findHost(armThat(nicPath, reply)).catch((e: unknown) => e);
      expect(String(failure)).not.toMatch(/rg-app|vm-web|nic-web|10\.20|arm-token|1111/);
    }
  });

  test('finds no address, and logs, when the broker may not read the network interface', async () => {
    const logged: unknown[] = [];
    const log = (...line: unknown[]): void => void logged.push(line);
    expect(await findHost(armThat(nicPath, readError('403')), { log })).toBeUndefined();
    expect(logged).toEqual([['arm-forbidden', { armId: nicPath }]]);
  });
});
