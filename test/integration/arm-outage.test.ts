import { describe, expect, test } from 'vitest';
import { createArmTargets } from '../../lib/azure/arm-targets.ts';
import { call } from '../support/call.ts';
import type { FakeArm, Reply } from '../support/fake-arm.ts';
import { fakeArm, readError, readPayload } from '../support/fake-arm.ts';
import { collectLogLines } from '../support/log-lines.ts';
import { sessionId } from '../support/sessions.ts';
import { memoryAudit, testBroker } from '../support/test-broker.ts';

const subscription = '11111111-1111-4111-8111-111111111111';
const group = `/subscriptions/${subscription}/resourcegroups/rg-app`;
const vmPath = `${group}/providers/microsoft.compute/virtualmachines/vm-web-1`;
const nicPath = `${group}/providers/microsoft.network/networkinterfaces/nic-web-1`;
const body = { target: vmPath, protocol: 'ssh' };
const params = { id: sessionId };

collectLogLines();

function start(arm: FakeArm) {
  const audit = memoryAudit();
  const now = () => new Date();
  const targets = createArmTargets({
    credential: arm.credential,
    httpClient: arm.httpClient,
    subscriptions: [subscription],
    now,
    log: () => undefined,
    deadlineMilliseconds: 300,
  });
  const broker = testBroker({ audit, targets });
  const ask = async () => call(broker, 'PUT', '/api/sessions/{id}', { token: 'ada', params, body });
  return { audit, ask };
}

// Fail closed, say so clearly, lose nothing, and need no restart.
describe('PUT /api/sessions/{id} when ARM refuses', () => {
  test.each<[string, string, Reply, number, string]>([
    ['the VM is absent', vmPath, readError('404-resource'), 403, 'access-denied'],
    ['the broker may not read the VM', vmPath, readError('403'), 403, 'access-denied'],
    ['ARM throttles', vmPath, readError('429-arm'), 503, 'targets-throttled'],
    ['ARM does not answer', vmPath, 'silent', 504, 'targets-timeout'],
    ['the connection is lost', vmPath, 'reset', 502, 'targets-unavailable'],
    ['the network interface throttles', nicPath, readError('429-arm'), 503, 'targets-throttled'],
    ['the network interface does not answer', nicPath, 'silent', 504, 'targets-timeout'],
  ])('when %s: a clear problem and no ticket', async (_name, path, reply, status, code) => {
    const arm = fakeArm(['vm-linux-running', 'nic-simple']);
    const { ask } = start(arm);
    arm.answer(path, reply);

    const answer = await ask();

    expect(answer).toMatchObject({ status, body: { code } });
    expect(JSON.stringify(answer.body)).not.toMatch(/eyJ|10\.\d+\.\d+\.\d+/);
  });

  test.each([
    ['the VM is deallocated', ['vm-windows-deallocated', 'nic-simple'], 409, 'target-stopped'],
    ['the VM has no network interface', ['vm-no-nics'], 409, 'target-without-address'],
    [
      'the interface belongs to another VM',
      ['vm-linux-running', 'nic-other-vm'],
      409,
      'target-changed',
    ],
  ] as const)('when %s: 409, recorded, and no ticket', async (_name, payloads, status, code) => {
    const arm = fakeArm();
    // Whatever their own ids, they are asked for under the ids of the request.
    const [vm, nic] = payloads.map(readPayload);
    arm.answer(vmPath, { text: vm ?? '' });
    if (nic !== undefined) arm.answer(nicPath, { text: nic });
    const { ask, audit } = start(arm);

    const answer = await ask();

    expect(answer).toMatchObject({ status, body: { code } });
    expect(audit.entries.at(-1)).toMatchObject({ type: 'session.refused', code });
  });

  test('an outage that ends is over: the same broker serves the next request', async () => {
    const arm = fakeArm(['vm-linux-running', 'nic-simple']);
    const { ask } = start(arm);
    // The adapter tries once more before it gives up.
    const down = readError('503');
    arm.answer(vmPath, down, down, { text: readPayload('vm-linux-running') });

    const answers = [await ask(), await ask()];

    expect(answers.map(({ status }) => status)).toEqual([502, 201]);
  });
});
