// A short line diff, for outputs of programs that print one line per thing they tried.
//
// It looks a few lines ahead to find where two texts meet again; that is enough for lines that were
// changed, added or left out, and costs nothing for long outputs.

const lookAhead = 40;
const linesShown = 30;

/** How many lines to skip on each side until both agree again. */
function findMeeting(
  a: readonly string[], b: readonly string[], i: number, j: number,
): [number, number] {
  for (let sum = 1; sum <= 2 * lookAhead; sum++) {
    for (let skip = Math.max(0, sum - lookAhead); skip <= Math.min(sum, lookAhead); skip++) {
      const x = a[i + skip];
      if (x !== undefined && x === b[j + sum - skip]) return [skip, sum - skip];
    }
  }
  return [a.length - i, b.length - j];
}

/**
 * Lines in which `actual` differs from `expected`: `- ` only in `expected`, `+ ` only in `actual`,
 * with line numbers of `expected`. Empty when they are equal.
 */
export function diffLines(expected: string, actual: string): string[] {
  if (expected === actual) return [];
  const a = expected.split('\n');
  const b = actual.split('\n');
  const lines: string[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (a[i] === b[j]) {
      i++;
      j++;
      continue;
    }
    const [skipA, skipB] = findMeeting(a, b, i, j);
    for (const line of a.slice(i, i + skipA)) lines.push(`${i + 1}: - ${line}`);
    for (const line of b.slice(j, j + skipB)) lines.push(`${i + 1}: + ${line}`);
    i += skipA;
    j += skipB;
  }
  return lines;
}

/** A diff as text for a message, cut off after some lines. */
export function formatDiff(lines: readonly string[]): string {
  const shown = lines.slice(0, linesShown).map((line) => `  ${line}`);
  if (lines.length > linesShown) shown.push(`  … ${lines.length - linesShown} more`);
  return shown.join('\n');
}
