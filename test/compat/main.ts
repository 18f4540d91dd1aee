// `npm run compat`: runs other people's test suites natively and in the sandbox, case by case, and
// says how many of those that pass natively pass in the sandbox too. See test/README.md.
//
//   --only NAME,…   these suites          --json    the report as JSON
//   --again         the sandbox's results anew      --again-native   both sides anew
//   --retry         only the cases that differed    --case TEXT      … whose name contains TEXT

import { existsSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { compareSides, countVerdicts, isPass } from './compare.ts';
import { runPythonModule } from './python-suite.ts';
import { readKept } from './results.ts';
import type { Side, SideResults } from './results.ts';
import { runScripts } from './script-suite.ts';
import { suites } from './suites.ts';
import type { Suite } from './suites.ts';
import { formatReport } from './table.ts';
import type { SuiteReport } from './table.ts';

interface Options {
  again: boolean;
  againNative: boolean;
  retry: boolean;
  case: string;
}

/** What is kept of a side, without what the flags want to see run again. */
function startResults(suite: Suite, side: Side, options: Options): SideResults {
  const isAgain = options.againNative || options.again && side === 'guest';
  if (isAgain) return { complete: false, cases: {} };
  const kept = readKept(suite.name, side);
  if (side === 'native' || !options.retry) return kept;
  const again = Object.keys(kept.cases)
    .filter((id) => !isPass(kept.cases[id]?.result ?? '') && id.includes(options.case));
  const native = readKept(suite.name, 'native').cases;
  for (const id of again) {
    if (!isPass(native[id]?.result ?? 'ok')) continue;
    delete kept.cases[id];
    kept.complete = false;
  }
  return kept;
}

async function runSuite(suite: Suite, options: Options): Promise<SuiteReport> {
  const [file, packageName] = suite.needs;
  if (!existsSync(file)) {
    return { name: suite.name, cases: [], absent: `apt-get install ${packageName}` };
  }
  const sides = {
    native: startResults(suite, 'native', options), guest: startResults(suite, 'guest', options),
  };
  for (const side of ['native', 'guest'] as const) {
    if (sides[side].complete) continue;
    process.stderr.write(`${suite.name}, ${side === 'native' ? 'natively' : 'in the sandbox'} … `);
    const started = Date.now();
    if (suite.kind === 'python') await runPythonModule(suite.name, side, sides[side]);
    else runScripts(suite.name, suite.scripts, side, sides[side], sides.native);
    process.stderr.write(`${((Date.now() - started) / 1000).toFixed(1)} s\n`);
  }
  return { name: suite.name, cases: compareSides(sides.native, sides.guest) };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      again: { type: 'boolean', default: false },
      'again-native': { type: 'boolean', default: false },
      retry: { type: 'boolean', default: false },
      case: { type: 'string', default: '' },
    },
  });
  const only = values.only.split(',').filter((name) => name !== '');
  const unknown = only.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    const names = suites.map(({ name }) => name).join(', ');
    throw new Error(`no suite is called ${unknown.join(', ')}; there are ${names}`);
  }
  const options = { ...values, againNative: values['again-native'] };
  const reports: SuiteReport[] = [];
  for (const suite of suites.filter(({ name }) => only.length === 0 || only.includes(name))) {
    reports.push(await runSuite(suite, options));
  }
  const all = countVerdicts(reports.flatMap(({ cases }) => cases));
  console.log(values.json ? JSON.stringify({ ...all, suites: reports }, null, 1)
    : formatReport(reports));
}

try {
  await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
