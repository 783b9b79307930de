import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ensureCertificates } from '../../local/certificates.ts';
import { FakeBroker } from '../support/fake-broker.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { TcpTarget } from '../support/tcp-target.ts';

let broker: FakeBroker;
let gateway: GatewayProcess;
let target: TcpTarget;

beforeEach(async () => {
  broker = new FakeBroker();
  await broker.listen();
  gateway = await GatewayProcess.start(broker);
  target = await TcpTarget.start((socket) => socket.pipe(socket));
});

afterEach(async () => {
  await gateway.stop();
  await target.stop();
  await broker.close();
});

describe('a file that has changed', () => {
  test('gives new connections the new certificate, and leaves open ones alone', async () => {
    const open = await gateway.open(await broker.issueTicket(target.port));
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-tls-'));
    const next = await ensureCertificates(folder, new Date());
    copyFileSync(next.certificate, join(gateway.folder, 'gateway.pem'));
    copyFileSync(next.key, join(gateway.folder, 'gateway-key.pem'));
    const ca = readFileSync(next.ca, 'utf8');
    rmSync(folder, { recursive: true });
    await gateway.findLine('files-reloaded');
    // This rejects while the old authority's certificate is served.
    const fresh = await gateway.openTls({ ca });
    fresh.destroy();
    open.send(Buffer.from('still open'));
    open.resume();

    expect((await once(open, 'message')).map(String)[0]).toBe('still open');
    open.close();
  });

  test('takes effect for the trusted root keys, and only once it is sound', async () => {
    const other = new FakeBroker();
    const file = join(gateway.folder, 'roots.json');
    writeFileSync(file, '{"keys":[');
    expect((await gateway.findLine('files-invalid'))['cause']).toBe('not JSON');
    const socket = await gateway.open(await broker.issueTicket(target.port));
    socket.close();
    writeFileSync(file, JSON.stringify({ keys: [other.rootJwk] }));
    await gateway.findLine('files-reloaded');

    await expect(gateway.open(await broker.issueTicket(target.port))).rejects.toThrow(
      'refused with 401',
    );
  });
});
