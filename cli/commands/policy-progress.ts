/** Shows a share from 0 to 1, in place of the one before; undefined removes it. */
export type ShowProgress = (share: number | undefined) => void;

type Screen = { readonly isTTY?: boolean; readonly write: (text: string) => unknown };

const cells = 30;

/** Returns a bar on a terminal, and nothing at all where the output is a file or a pipe. */
export function createProgress(screen: Screen): ShowProgress {
  if (screen.isTTY !== true) return () => undefined;
  return (share) => {
    // Back to the start of the line, and clear it (ECMA-48, EL).
    screen.write(`\r\u001B[K${share === undefined ? '' : formatBar(share)}`);
  };
}

function formatBar(share: number): string {
  const full = Math.round(share * cells);
  const percent = Math.floor(share * 100);
  return `[${'#'.repeat(full)}${'.'.repeat(cells - full)}] ${percent} %`;
}
