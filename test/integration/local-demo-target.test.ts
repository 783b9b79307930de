import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createHash } from 'node:crypto';
import ssh2, {
  type Client,
  type ClientChannel,
  type IdentityCallback,
  type PseudoTtyOptions,
  type SignCallback,
} from 'ssh2';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { startDemoTarget, type DemoTarget } from '../../local/demo-target.ts';

describe('the demo target', () => {
  let folder: string;
  let target: DemoTarget;
  const clients: Client[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-target-'));
    target = await startDemoTarget({ folder, port: 0 });
  });

  afterEach(() => {
    for (const client of clients.splice(0)) client.end();
  });

  afterAll(async () => {
    await target.close();
    rmSync(folder, { recursive: true });
  });

  async function connect(privateKey: Buffer | string): Promise<Client> {
    const client = new ssh2.Client();
    clients.push(client);
    client.on('error', () => undefined);
    const ready = once(client, 'ready');
    client.connect({
      host: '127.0.0.1',
      port: target.port,
      username: 'anyone',
      privateKey,
      hostVerifier: (key: Buffer) => fingerprint(key) === target.hostKeyFingerprint,
    });
    await ready;
    return client;
  }

  async function run(command: string, input = ''): Promise<Outcome> {
    const client = await connect(readFileSync(target.keyFile));
    const outcome = Promise.withResolvers<Outcome>();
    client.exec(command, (error, channel) => {
      if (error) return outcome.reject(error);
      // Listen within this call: the whole run may be in the packet that is being read.
      outcome.resolve(collect(channel));
      channel.end(input);
    });
    return outcome.promise;
  }

  test('runs a command and passes its output, errors and exit status', async () => {
    expect(await run('echo out; echo err >&2; exit 3')).toEqual({
      stdout: 'out\n',
      stderr: 'err\n',
      exit: 3,
    });
  });

  test('gives a command the input of the client to its end', async () => {
    const input = 'line\n'.repeat(100_000);

    expect((await run('wc -l', input)).stdout.trim()).toBe('100000');
  });

  test('gives a shell in a terminal that follows the size of the window', async () => {
    const client = await connect(readFileSync(target.keyFile));
    const shell = await openShell(client, { rows: 24, cols: 80 });
    const screen = watch(shell);

    shell.write('echo "size:" $(stty size)\n');
    await screen.until('size: 24 80');
    shell.setWindow(50, 132, 0, 0);
    shell.write('echo "size:" $(stty size)\n');
    await screen.until('size: 50 132');
    const exit = once(shell, 'exit');
    shell.write('exit 7\n');

    expect((await exit)[0]).toBe(7);
  });

  test('refuses a key that is not the one of the folder', async () => {
    const stranger = ssh2.utils.generateKeyPairSync('ed25519');

    await expect(connect(stranger.private)).rejects.toThrow('authentication methods failed');
  });

  // The public half of the key is no secret: only a signature proves who holds the other half.
  test('refuses the right key with a signature by another', async () => {
    const client = new ssh2.Client();
    const failed = once(client, 'error');
    client.connect({
      host: '127.0.0.1',
      port: target.port,
      username: 'anyone',
      agent: new Impostor(readFileSync(target.keyFile)),
    });
    const outcome = Promise.race([once(client, 'ready').then(() => 'let in'), failed]);

    expect(String(await outcome)).toContain('authentication methods failed');
  });

  test('refuses to forward a port', async () => {
    const client = await connect(readFileSync(target.keyFile));
    const forwarded = new Promise((resolve, reject) => {
      client.forwardOut('127.0.0.1', 0, '127.0.0.1', target.port, (error, channel) =>
        error ? reject(error) : resolve(channel),
      );
    });

    await expect(forwarded).rejects.toThrow('Channel open failure');
  });

  test('keeps its user key for the next start, readable by the owner alone', async () => {
    const key = readFileSync(target.keyFile, 'utf8');

    const next = await startDemoTarget({ folder, port: 0 });
    await next.close();

    expect(key).toContain('BEGIN OPENSSH PRIVATE KEY');
    expect(readFileSync(next.keyFile, 'utf8')).toBe(key);
    expect(statSync(next.keyFile).mode & 0o777).toBe(0o600);
    expect(next.hostKeyFingerprint).not.toBe(target.hostKeyFingerprint);
  });

  test('ends its connections and what runs in them when it closes', async () => {
    const own = await startDemoTarget({ folder, port: 0 });
    const client = new ssh2.Client();
    const privateKey = readFileSync(own.keyFile);
    client.connect({ host: '127.0.0.1', port: own.port, username: 'anyone', privateKey });
    await once(client, 'ready');
    const started = Promise.withResolvers<number>();
    client.exec('echo $$; sleep 1000; true', (_error, channel) => {
      channel.once('data', (data: Buffer) => started.resolve(Number(data.toString())));
    });
    const pid = await started.promise;
    const ended = once(client, 'close');
    client.on('error', () => undefined);

    await own.close();
    await ended;

    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'));
  });
});

class Impostor extends ssh2.BaseAgent<Buffer> {
  private readonly shown: Buffer;

  constructor(shown: Buffer) {
    super();
    this.shown = shown;
  }

  override getIdentities(answer: IdentityCallback<Buffer>): void {
    const key = ssh2.utils.parseKey(this.shown);
    if (key instanceof Error) answer(key);
    else answer(null, [key.getPublicSSH()]);
  }

  override sign(_shown: unknown, data: Buffer, _options: unknown, answer?: SignCallback): void {
    const stranger = ssh2.utils.parseKey(ssh2.utils.generateKeyPairSync('ed25519').private);
    if (!(stranger instanceof Error)) answer?.(null, stranger.sign(data));
  }
}

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: unknown;
}

async function collect(channel: ClientChannel): Promise<Outcome> {
  const exit = once(channel, 'exit');
  const [stdout, stderr] = await Promise.all([text(channel), text(channel.stderr)]);
  return { stdout, stderr, exit: (await exit)[0] };
}

function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

async function openShell(client: Client, window: PseudoTtyOptions): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.shell(window, (error, channel) => (error ? reject(error) : resolve(channel)));
  });
}

function watch(channel: ClientChannel): { until(wanted: string): Promise<void> } {
  let seen = '';
  channel.on('data', (data: Buffer) => {
    seen += data.toString();
  });
  return {
    until: async (wanted) => {
      while (!seen.includes(wanted)) await once(channel, 'data');
    },
  };
}
