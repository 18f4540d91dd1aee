// `--help`, from the table in spec.ts, set by cac.

import { cac } from 'cac';
import { environmentName } from './args.ts';
import { exitCodeNotes } from './exit-codes.ts';
import type { Output } from './output.ts';
import { commands, findCommand, globalFlags } from './spec.ts';
import type { CommandName, CommandSpec, FlagSpec } from './spec.ts';

interface Section {
  title?: string;
  body: string;
}

/** `-e, --env <K=V>`, as cac wants it. */
function nameFlag(flag: FlagSpec): string {
  const short = flag.short === undefined ? '' : `-${flag.short}, `;
  const what = flag.choices?.join('|') ?? flag.value;
  const value = what === undefined ? '' : ` <${what}>`;
  return `${short}--${flag.name}${value}`;
}

/** Lets cac print to a string instead of the console. */
function capture(print: () => void): string {
  const original = console.info;
  let text = '';
  console.info = (line: unknown): void => { text += String(line); };
  try {
    print();
  } finally {
    console.info = original;
  }
  return text;
}

function formatCommand(command: CommandSpec): string {
  const cli = cac('catavmm');
  const made = cli.command(command.name, command.summary)
    .usage(`${command.name} ${command.usage}`);
  for (const flag of [...command.flags, ...globalFlags]) {
    made.option(nameFlag(flag), flag.help);
  }
  for (const example of command.examples) made.example(`  $ ${example}`);
  cli.help((sections: Section[]) => {
    // cac's first section is its own name line; its --help flag is in our table already.
    const [, ...rest] = sections;
    return [{ body: `catavmm ${command.name}: ${command.summary}` }, ...rest, listEnvironment()];
  });
  // `.help()` has declared --help and would show it a second time.
  cli.globalCommand.options = [];
  return capture(() => made.outputHelp());
}

function listEnvironment(): Section {
  const [example] = globalFlags.filter((flag) => flag.name === 'quiet');
  const name = example === undefined ? '' : environmentName(example);
  return {
    title: 'Environment',
    body: `  Flags that are given once can be set there: CATAVMM_MEMORY=256m, ${name}=1`,
  };
}

function formatOverview(): string {
  const cli = cac('catavmm');
  cli.usage('[flags] COMMAND …');
  for (const { name, summary } of commands) cli.command(name, summary);
  for (const flag of globalFlags) cli.option(nameFlag(flag), flag.help);
  const codes = exitCodeNotes.map(([code, note]) => `  ${code.padEnd(6)} ${note}`).join('\n');
  cli.help((sections: Section[]) => {
    const [, ...rest] = sections;
    const shown = rest.filter(({ title }) => title?.startsWith('For more info') !== true);
    return [
      { body: 'catavmm starts Linux programs in KVM sandboxes, from saved func-images.' },
      ...shown,
      { title: 'Examples', body: overviewExamples.map((line) => `  $ ${line}`).join('\n') },
      { title: 'Exit codes', body: codes },
      { body: 'Run `catavmm COMMAND --help` for the flags of a command.' },
    ];
  });
  cli.globalCommand.options = cli.globalCommand.options.filter((_option, index) => {
    return index < globalFlags.length;
  });
  return capture(() => cli.outputHelp());
}

const overviewExamples: readonly string[] = [
  "catavmm run -- python3 -c 'print(6 * 7)'",
  'catavmm build -o app.cfi -- python3 app.py',
  "echo '{\"n\": 6}' | catavmm boot app.cfi",
];

/** The help of a command, or the overview. */
export function formatHelp(name: CommandName | undefined): string {
  const command = name === undefined ? undefined : findCommand(name);
  const text = command === undefined ? formatOverview() : formatCommand(command);
  // cac takes a switch that begins with `no-` for one that is on by default.
  const lines = text.split('\n').map((line) => line.replace(/( \(default: true\))?\s*$/, ''));
  return lines.join('\n');
}

/** Prints help: to stdout when it was asked for, to stderr when it answers a mistake. */
export function showHelp(
  name: CommandName | undefined, output: Output, stream: 1 | 2 = 1,
): number {
  if (stream === 1) output.print(formatHelp(name));
  else output.complain(formatHelp(name));
  return 0;
}
