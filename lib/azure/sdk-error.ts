/**
 * Returns what may be logged of an error of an Azure SDK. The error itself holds the whole request, with the bearer
 * token in it.
 */
export function toCause(error: unknown, code?: string): Error {
  if (!(error instanceof Error)) return new Error('something that is no error was thrown');
  const hasStatus = 'statusCode' in error && typeof error.statusCode === 'number';
  const status = hasStatus ? `, status ${String(error.statusCode)}` : '';
  const named = code === undefined ? '' : `, ${code}`;
  return new Error(`${error.name}${status}${named}: ${error.message.slice(0, 200)}`);
}
