// Which test files there are, and which need more than the default: more time, the machine to
// themselves, or one runtime only (because they start all three themselves).

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './install.mjs';

const timeoutMsDefault = 180_000;

/** The first row whose pattern matches a path counts. */
const special = [
  { pattern: /^test\/package\.test/, serial: true, timeoutMs: 600_000, runtimes: ['node'] },
  { pattern: /^test\/tidy\.test/, runtimes: ['node'] },
  { pattern: /(^|[/-])(bench|speed|timing)/, serial: true, timeoutMs: 600_000 },
  { pattern: /^test\/(e2e|cli|oracle|vmm\/boot)\//, timeoutMs: 600_000 },
];

/** Every test/**\/*.test.ts as { path, serial, timeoutMs, runtimes? }, sorted by path. */
export function listTests() {
  const paths = readdirSync(join(root, 'test'), { recursive: true })
    .map((path) => `test/${path}`)
    .filter((path) => path.endsWith('.test.ts'))
    .sort();
  return paths.map((path) => {
    const row = special.find(({ pattern }) => pattern.test(path)) ?? {};
    return { path, serial: false, timeoutMs: timeoutMsDefault, ...row };
  });
}
