type Address = { readonly bits: 32 | 128; readonly value: bigint };

type Range = { readonly base: Address; readonly prefixBits: number };

// `net.BlockList` misses NAT64, and the URL parser turns `0x7f.1` and full-width digits into loopback. So ranges and
// text are read here. Where a form embeds an IPv4 address its whole range is refused: no network card of a VM has one.
const forbiddenRanges = [
  '0.0.0.0/8', // this host (RFC 1122, section 3.2.1.3)
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local: the metadata service of every cloud
  '168.63.129.16/32', // the wire server of Azure
  '100.100.100.200/32', // metadata at Alibaba
  '192.0.0.192/32', // metadata at Oracle
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
  '::/8', // unspecified, loopback, IPv4-compatible, IPv4-mapped, NAT64 (RFC 4291, RFC 6052, RFC 8215)
  '2001::/32', // Teredo
  '2002::/16', // 6to4
  'fd00:ec2::/32', // metadata, names and time at AWS
  'fd00:c1::a9fe:a9fe/128', // metadata at Oracle
  'fd20:ce::254/128', // metadata at Google
  'fe80::/10', // link-local
  'ff00::/8', // multicast
];

// A wider range would be meant as "anything private" and let the metadata services in with it.
const minPrefixBits = 8;

const octet = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const dottedQuad = new RegExp(String.raw`^${octet}(?:\.${octet}){3}$`);
const hexGroup = /^[0-9a-f]{1,4}$/i;

/**
 * Returns the canonical form of a literal address: the dotted quad, or IPv6 as in RFC 5952. Returns undefined for
 * anything else: octal, hexadecimal and short IPv4, other digits than ASCII, zone ids, brackets, blanks, prefixes, names.
 */
export function parseAddress(text: string): string | undefined {
  const address = readAddress(text);
  return address && formatAddress(address);
}

/**
 * Returns the rule that says whether the gateways may dial a host. It refuses what is not a canonical address, and the
 * ranges where no target lives unless a range in `allowed` (CIDR) covers the host. Throws on a bad range and names it.
 */
export function createDialRule(allowed: readonly string[]): (host: string) => boolean {
  const listed = allowed.map(parseAllowedRange);
  const forbidden = forbiddenRanges.map(parseRange);
  return (host) => {
    const address = readAddress(host);
    if (address === undefined || formatAddress(address) !== host) return false;
    const isIn = (range: Range): boolean => isCovered(address, range);
    return listed.some(isIn) || !forbidden.some(isIn);
  };
}

/** Whether the text is a range of addresses in CIDR notation, without bits after its prefix. */
export function isNetwork(text: string): boolean {
  try {
    parseRange(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Returns the rule that says whether an address is in one of the networks (CIDR); an IPv4 address that came as IPv6
 * (`::ffff:10.0.0.1`) counts as what it is. Throws on a bad network and names it.
 */
export function createNetworkRule(networks: readonly string[]): (host: string) => boolean {
  const ranges = networks.map(parseRange);
  return (host) => {
    const address = readAddress(host.replace(/^::ffff:(?=\d+\.)/i, ''));
    return address !== undefined && ranges.some((range) => isCovered(address, range));
  };
}

function parseAllowedRange(text: string): Range {
  const range = parseRange(text);
  if (range.prefixBits < minPrefixBits)
    throw new Error(`"${text}" is too wide: list ranges of /${minPrefixBits} or narrower`);
  return range;
}

function parseRange(text: string): Range {
  const [, baseText = '', prefixText = ''] = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text) ?? [];
  const base = readAddress(baseText);
  const prefixBits = Number(prefixText);
  if (base === undefined || prefixText === '' || prefixBits > base.bits)
    throw new Error(`"${text}" is not a range of addresses, for example 10.1.0.0/16`);
  const hostBits = BigInt(base.bits - prefixBits);
  if ((base.value >> hostBits) << hostBits !== base.value)
    throw new Error(`"${text}" has bits after its prefix`);
  return { base, prefixBits };
}

function isCovered(address: Address, { base, prefixBits }: Range): boolean {
  const hostBits = BigInt(base.bits - prefixBits);
  return address.bits === base.bits && address.value >> hostBits === base.value >> hostBits;
}

function readAddress(text: string): Address | undefined {
  const quad = readQuad(text);
  if (quad !== undefined) return { bits: 32, value: quad };
  const value = readIpv6(text);
  return value === undefined ? undefined : { bits: 128, value };
}

function readQuad(text: string): bigint | undefined {
  if (!dottedQuad.test(text)) return undefined;
  return text.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function readIpv6(text: string): bigint | undefined {
  const [head = '', tail, ...rest] = expandQuad(text).split('::');
  const first = toGroups(head);
  const last = toGroups(tail ?? '');
  // `::` stands for at least one group.
  const zeros = tail === undefined ? 0 : Math.max(1, 8 - first.length - last.length);
  const groups = [...first, ...Array<string>(zeros).fill('0'), ...last];
  if (rest.length > 0 || groups.length !== 8) return undefined;
  if (!groups.every((group) => hexGroup.test(group))) return undefined;
  return BigInt(`0x${groups.map((group) => group.padStart(4, '0')).join('')}`);
}

/** Writes a dotted quad at the end as two groups (RFC 4291, section 2.2). */
function expandQuad(text: string): string {
  const start = text.lastIndexOf(':') + 1;
  const quad = readQuad(text.slice(start));
  if (quad === undefined || start === 0) return text;
  return `${text.slice(0, start)}${(quad >> 16n).toString(16)}:${(quad & 0xffffn).toString(16)}`;
}

function toGroups(half: string): readonly string[] {
  return half === '' ? [] : half.split(':');
}

function formatAddress({ bits, value }: Address): string {
  if (bits === 32) return formatQuad(value);
  if (value >> 32n === 0xffffn) return `::ffff:${formatQuad(value & 0xffff_ffffn)}`;
  const groups = value.toString(16).padStart(32, '0').match(/.{4}/g) ?? [];
  return compressZeros(groups.map((group) => group.replace(/^0{1,3}/, '')).join(':'));
}

function formatQuad(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
}

/** Shortens the longest run of two or more zero groups, the first of equals (RFC 5952, section 4.2). */
function compressZeros(text: string): string {
  const runs = [...text.matchAll(/\b0(?::0)+\b/g)].sort((a, b) => b[0].length - a[0].length);
  const [run] = runs;
  if (run === undefined) return text;
  const head = text.slice(0, run.index).replace(/:$/, '');
  const tail = text.slice(run.index + run[0].length).replace(/^:/, '');
  return `${head}::${tail}`;
}
