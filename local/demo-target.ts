import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import ssh2, {
  type AuthContext,
  type Connection,
  type ParsedKey,
  type PseudoTtyInfo,
  type PublicKeyAuthContext,
  type Session,
} from 'ssh2';
import { runCommand, runInTerminal, type Terminal } from './demo-shell.ts';
import { portOf } from './free-port.ts';

/** A running demo target. `keyFile` opens it with `ssh -i`; `close` ends every connection. */
export interface DemoTarget {
  readonly port: number;
  /** The public host key as a known_hosts file has it: type and base64. */
  readonly hostKey: string;
  readonly hostKeyFingerprint: string;
  readonly keyFile: string;
  readonly close: () => Promise<void>;
}

/**
 * Starts an SSH server on 127.0.0.1 that gives whoever holds the folder's key a shell of the
 * current user, under any login name. It forwards no port and has no SFTP: copy with `scp -O`.
 */
export async function startDemoTarget(options: {
  readonly folder: string;
  readonly port: number;
}): Promise<DemoTarget> {
  const keyFile = join(options.folder, 'demo-key');
  const allowed = ensureUserKey(keyFile);
  const hostKey = ssh2.utils.generateKeyPairSync('ed25519', { comment: 'sallyport demo target' });
  const ssh = new ssh2.Server({ hostKeys: [hostKey.private] }, (connection: Connection) => {
    // A peer that hangs up is not an error.
    connection.on('error', () => connection.end());
    connection.on('authentication', (context) => authenticate(context, allowed));
    connection.on('session', (accept) => serveSession(accept()));
  });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    ssh.injectSocket(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  return {
    port: portOf(server.address()),
    hostKey: hostKey.public.split(' ').slice(0, 2).join(' '),
    hostKeyFingerprint: fingerprintOf(parseKey(hostKey.public)),
    keyFile,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function ensureUserKey(file: string): ParsedKey {
  try {
    return parseKey(readFileSync(file));
  } catch {
    const pair = ssh2.utils.generateKeyPairSync('ed25519', { comment: 'sallyport demo' });
    writeFileSync(file, pair.private, { mode: 0o600 });
    return parseKey(pair.private);
  }
}

function parseKey(data: string | Buffer): ParsedKey {
  const key = ssh2.utils.parseKey(data);
  if (key instanceof Error) throw key;
  return key;
}

function fingerprintOf(key: ParsedKey): string {
  const digest = createHash('sha256').update(key.getPublicSSH()).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}

function authenticate(context: AuthContext, allowed: ParsedKey): void {
  if (context.method !== 'publickey') {
    context.reject(['publickey']);
    return;
  }
  const wanted = allowed.getPublicSSH();
  const offered = context.key.data;
  const isKnown =
    context.key.algo === allowed.type &&
    offered.length === wanted.length &&
    timingSafeEqual(offered, wanted);
  if (isKnown && isProven(context, allowed)) context.accept();
  else context.reject(['publickey']);
}

function isProven(context: PublicKeyAuthContext, allowed: ParsedKey): boolean {
  const { blob, hashAlgo, signature } = context;
  // Without a signature the client only asks whether the key would do (RFC 4252, section 7).
  if (!signature) return true;
  if (!blob) return false;
  // Unlike its type says, ssh2 answers with an Error, which is truthy, when it cannot verify.
  const verdict: unknown = allowed.verify(blob, signature, hashAlgo);
  return verdict === true;
}

function serveSession(session: Session): void {
  let window: PseudoTtyInfo | undefined;
  let terminal: Terminal | undefined;
  session.on('pty', (accept, _reject, info) => {
    window = info;
    accept();
  });
  session.on('window-change', (accept, _reject, info) => {
    terminal?.resize(info.cols, info.rows);
    // ssh2 gives no `accept` when the client wants no reply, which is always for this request.
    if (typeof accept === 'function') accept();
  });
  session.on('shell', (accept) => {
    const channel = accept();
    if (window) terminal = runInTerminal(channel, window);
    else runCommand(channel);
  });
  session.on('exec', (accept, _reject, info) => {
    const channel = accept();
    if (window) terminal = runInTerminal(channel, window, info.command);
    else runCommand(channel, info.command);
  });
}
