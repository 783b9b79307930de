/** What a store says is published now: the text of its pointer, and the version of that text. */
export type StoredPointer = { readonly etag: string; readonly text: string };

/** A store of published policy sets. Every call ends within seconds, and fails when the store does not answer it. */
export type PolicySource = {
  /** Returns the pointer to the published set; `unchanged` while it is the version that is named. */
  readonly readPointer: (etag?: string) => Promise<StoredPointer | 'unchanged'>;
  /** Returns the bundle with this name as it is stored, unverified. */
  readonly readBundle: (digest: string) => Promise<string>;
};
