import { createHash } from 'node:crypto';
import type { Audit, AuditEvent } from './audit.ts';
import type { PolicyPointer } from './policy-pointer.ts';
import type { Finding } from './policy-scan.ts';
import type { Table } from './table.ts';

/** A pointer, and the version in which it was read: the same set may be published again after another one. */
export type Publication = PolicyPointer & { readonly etag: string };

/** Where publications are recorded. */
export type PolicyRecord = { readonly audit: Audit; readonly state: Table };

type Published = Extract<AuditEvent, { readonly type: 'policy.published' }>;
type Rejected = Extract<AuditEvent, { readonly type: 'policy.rejected' }>;

const maxFindings = 20;
const maxDetailCharacters = 300;

const last = { partition: 'policy', row: 'last' } as const;

/** Records that a set is about to be taken; of all processes that do, usually one alone writes. `digest` is as decisions name it. */
export async function recordPublished(
  record: PolicyRecord,
  publication: Publication,
  set: { readonly digest: string; readonly previous: string | undefined },
): Promise<void> {
  const { digest, previous } = set;
  const event: Published = {
    type: 'policy.published',
    digest,
    ...(digest === publication.digest ? {} : { bundle: publication.digest }),
    ...(previous === undefined ? {} : { previous }),
    ...toOrigin(publication),
  };
  await recordOnce(record, publication.etag, event, async () =>
    record.state.put([{ ...last, values: { bundle: publication.digest } }]),
  );
}

/** Records that a set was not taken, with the first of its findings. */
export async function recordRejected(
  record: PolicyRecord,
  publication: Publication,
  findings: readonly Finding[],
): Promise<void> {
  const { digest, etag } = publication;
  const event: Rejected = {
    type: 'policy.rejected',
    digest,
    findings: findings.slice(0, maxFindings).map(toPlainFinding),
    ...toOrigin(publication),
  };
  await recordOnce(record, etag, event);
}

/** Returns the name of the bundle that was last recorded as published. */
export async function findLastBundle({ state }: PolicyRecord): Promise<string | undefined> {
  const row = await state.find(last.partition, last.row);
  return row === undefined ? undefined : String(row.values['bundle']);
}

// The row comes after the entry: a process that dies in between has it recorded twice, and never not at all. Nor may
// another process rely on an entry that is not there yet.
async function recordOnce(
  { audit, state }: PolicyRecord,
  etag: string,
  event: Published | Rejected,
  then: () => Promise<void> = async () => undefined,
): Promise<void> {
  const version = createHash('sha256').update(etag).digest('base64url');
  const place = { partition: `policy|${event.digest}`, row: `${event.type}|${version}` };
  if ((await state.find(place.partition, place.row)) !== undefined) return;
  await audit.append([event]);
  await then();
  await state.insert({ ...place, values: {} });
}

function toOrigin({ publishedBy, note }: Publication): Pick<Published, 'publishedBy' | 'note'> {
  return {
    ...(publishedBy === undefined ? {} : { publishedBy }),
    ...(note === undefined ? {} : { note }),
  };
}

// The names and texts are those of a set that nobody has found sound.
function toPlainFinding({ file, line, detail }: Finding): Finding {
  return { file: toPlainText(file), line, detail: toPlainText(detail) };
}

function toPlainText(text: string): string {
  const cut = text.slice(0, maxDetailCharacters).toWellFormed();
  return cut.replaceAll(/[\p{Cc}\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069\u2028\u2029]/gu, ' ');
}
