// The one description of all commands and flags: parsing, `--help`, completion and docs/cli.md
// come from it.
//
// Invariant: data only. It is loaded by every start, also by that of `catavmm boot`.

export interface FlagSpec {
  /** Without dashes. */
  name: string;
  /** One letter. */
  short?: string;
  /** What stands for its value in help; absent for a switch. */
  value?: string;
  /** May be given more than once. */
  repeat?: boolean;
  choices?: readonly string[];
  /** What a shell should offer as value. */
  complete?: 'file' | 'directory';
  /** Half a sentence. */
  help: string;
}

export type CommandName =
  | 'run' | 'build' | 'boot' | 'tune' | 'inspect' | 'verify' | 'syscalls' | 'doctor' | 'bench'
  | 'completion';

export interface CommandSpec {
  name: CommandName;
  /** Half a sentence. */
  summary: string;
  /** After the name. */
  usage: string;
  /** How many operands there may be, and what they are in a sentence. */
  operands: { low: number; high: number; what: string };
  /** The first operand and all that follows are a program and its arguments. */
  guest?: boolean;
  /** What a shell should offer as operand. */
  complete?: 'file' | readonly string[];
  flags: readonly FlagSpec[];
  examples: readonly [string, string, string];
}

/** Taken by every command, also in front of its name. */
export const globalFlags: readonly FlagSpec[] = [
  { name: 'help', short: 'h', help: 'show this help' },
  { name: 'version', short: 'V', help: 'show versions' },
  { name: 'json', help: 'results and errors as JSON' },
  { name: 'quiet', short: 'q', help: 'no progress, no notes; errors only' },
  { name: 'no-color', help: 'no colours (also: NO_COLOR, FORCE_COLOR)' },
];

const rootfs: FlagSpec = {
  name: 'rootfs', value: 'DIR', complete: 'directory',
  help: "the guest's root directory, only read (default: /)",
};
const memory: FlagSpec = {
  name: 'memory', short: 'm', value: 'SIZE', help: 'most guest memory (default: 512m)',
};
const timeout: FlagSpec = {
  name: 'timeout', value: 'TIME', help: 'kill the guest after 500ms, 5s, 2m or 1h',
};
const strace: FlagSpec = { name: 'strace', help: 'show each system call on stderr' };
const straceSummary: FlagSpec = {
  name: 'strace-summary', short: 'c', help: 'count system calls and show a table at the end',
};
const report: FlagSpec = {
  name: 'report', value: 'FILE', complete: 'file', help: 'write times and counts as JSON',
};

const checkpoint: FlagSpec = {
  name: 'checkpoint', value: 'FILE', complete: 'file',
  help: 'at SIGUSR1, save the guest as it is just then as the image FILE, and go on',
};
const allowSecrets: FlagSpec = {
  name: 'allow-secrets',
  help: 'save a program although variables it was given look like secrets',
};
const log: FlagSpec = {
  name: 'log', value: 'FILE[:DST]', repeat: true, complete: 'file',
  help: 'let the guest append to FILE, which it sees as the device DST (default: the same path)',
};

const publish: FlagSpec = {
  name: 'publish', short: 'p', value: '[ADDR:]HOST:GUEST', repeat: true,
  help: "lead the host's TCP port HOST (0: a free one) to the guest's port GUEST " +
    '(default ADDR: 127.0.0.1)',
};
const net: FlagSpec = {
  name: 'net', value: 'WHAT', choices: ['none', 'host'],
  help: 'let TCP and UDP sockets of the guest reach what the host reaches (default: none)',
};

const checkpointEvery: FlagSpec = {
  name: 'checkpoint-every', value: 'N',
  help: 'for tests: after every N system calls, save the guest and go on from what was saved',
};
const forkEvery: FlagSpec = {
  name: 'fork-every', value: 'N',
  help: 'for tests: after every N system calls, go on in a fork of the guest',
};

/** What a program gets, in `run` and `build`. */
const programFlags: readonly FlagSpec[] = [
  rootfs,
  {
    name: 'env', short: 'e', value: 'K=V', repeat: true,
    help: 'set a variable; K alone passes yours on',
  },
  {
    name: 'env-file', value: 'FILE', repeat: true, complete: 'file',
    help: 'set variables from lines K=V',
  },
  {
    name: 'workdir', short: 'w', value: 'DIR',
    help: 'working directory in the guest (default: / or, without --rootfs, yours)',
  },
  {
    name: 'volume', short: 'v', value: 'SRC:DST[:ro]', repeat: true,
    help: 'show SRC as DST; writes there stay in the sandbox, or fail with :ro',
  },
  {
    name: 'tmpfs', value: 'DST', repeat: true,
    help: 'an empty directory in memory at DST, hiding what is there',
  },
  log,
  memory,
  timeout,
  {
    name: 'cpu', value: 'LEVEL', choices: ['v2', 'v3', 'v4', 'host'],
    help: 'the x86-64 level that the guest may use (default: host)',
  },
  { name: 'deterministic', help: 'fixed clock, randomness and addresses' },
  strace,
  straceSummary,
  report,
];

const image = { low: 1, high: 1, what: 'one image' };

export const commands: readonly CommandSpec[] = [
  {
    name: 'run',
    summary: 'run a program in a new sandbox',
    usage: '[flags] [--] COMMAND [argument …]',
    operands: { low: 1, high: Infinity, what: 'a command' },
    guest: true,
    flags: [...programFlags, publish, net, checkpoint, allowSecrets, checkpointEvery, forkEvery],
    examples: [
      "catavmm run -- python3 -c 'print(6 * 7)'",
      'catavmm run --memory 256m --timeout 5s sha256sum /etc/os-release',
      'catavmm run --rootfs ./alpine -e GREETING=hi -v ./data:/data:ro /bin/sh -c env',
    ],
  },
  {
    name: 'build',
    summary: 'run a program up to its func-entry point and save it as an image',
    usage: '-o IMAGE [flags] [--] COMMAND [argument …] | --from IMAGE',
    operands: { low: 0, high: Infinity, what: 'a command' },
    guest: true,
    flags: [
      {
        name: 'output', short: 'o', value: 'FILE', complete: 'file',
        help: 'the image to write (.cfi); replaced only when all went well',
      },
      {
        name: 'from', value: 'IMAGE', complete: 'file',
        help: 'go on from an image in the same directory, and save only what differs from it',
      },
      {
        name: 'handler', value: 'TEXT', repeat: true,
        help: 'with --from: a line for the stdin of its program, such as the name of a module',
      },
      {
        name: 'entry', value: 'WHAT', choices: ['listen', 'stdin', 'line=TEXT', 'explicit'],
        help: 'what counts as initialised: a blocking accept, the first read of stdin, ' +
          "the output TEXT, or only the program's own call (default: whichever comes first)",
      },
      { name: 'train', value: 'N', help: 'serve N training requests before saving' },
      {
        name: 'train-input', value: 'FILE', complete: 'file',
        help: 'training requests, one per line, given on stdin',
      },
      {
        name: 'self-contained',
        help: 'store mapped and open files too: boots with an empty rootfs',
      },
      allowSecrets,
      ...programFlags,
    ],
    examples: [
      'catavmm build -o app.cfi -- python3 app.py',
      "catavmm build -o echo.cfi --entry 'line=ready' ./echo-server",
      'catavmm build -o resize.cfi --from python.cfi --handler resize',
    ],
  },
  {
    name: 'boot',
    summary: 'go on from an image',
    usage: '[flags] IMAGE',
    operands: image,
    complete: 'file',
    flags: [
      { ...rootfs, help: "the guest's root directory (default: the one that the image names)" },
      { ...memory, help: 'most guest memory (default: as when it was built)' },
      log,
      publish,
      net,
      timeout,
      {
        name: 'mode', value: 'MODE', choices: ['cold', 'warm', 'fork'],
        help: 'start from the file, from the image held open, or from a template of it ' +
          '(default: cold)',
      },
      {
        name: 'count', short: 'n', value: 'N',
        help: 'boot N times, one after another, each with all of stdin (default: 1)',
      },
      checkpoint,
      { name: 'verify', help: "check the digest of the image's memory first" },
      {
        name: 'eager',
        help: 'for comparison: decode all records, copy all memory, open all files first',
      },
      {
        name: 'without', value: 'NAME', repeat: true,
        choices: ['overlay', 'separated', 'lazy-io', 'io-cache', 'zygote', 'write-set'],
        help: 'for comparison: turn one technique off',
      },
      checkpointEvery,
      forkEvery,
      strace,
      straceSummary,
      report,
    ],
    examples: [
      "echo '{\"n\": 6}' | catavmm boot app.cfi",
      'catavmm boot --mode fork -n 100 --report report.json app.cfi < request.json',
      'catavmm boot --rootfs ./alpine --timeout 500ms app.cfi',
    ],
  },
  {
    name: 'tune',
    summary: 'put the memory of an image in the order in which its boots touch it',
    usage: '[--boots N] [--input FILE] IMAGE',
    operands: image,
    complete: 'file',
    flags: [
      { name: 'boots', value: 'N', help: 'how many boots to learn from (default: 3)' },
      {
        name: 'input', value: 'FILE', complete: 'file',
        help: 'requests, one per line, given to them on stdin in turn',
      },
    ],
    examples: [
      'catavmm tune app.cfi',
      'catavmm tune --boots 10 --input requests.txt app.cfi',
      'catavmm tune --json app.cfi | jq .hotFrames',
    ],
  },
  {
    name: 'inspect',
    summary: 'show what is in an image, what several share, or how two differ',
    usage: '[--json] IMAGE … | --diff IMAGE IMAGE',
    operands: { low: 1, high: Infinity, what: 'images (two with --diff)' },
    complete: 'file',
    flags: [{ name: 'diff', help: 'list the guest pages that two images do not share' }],
    examples: [
      'catavmm inspect app.cfi',
      'catavmm inspect --json app.cfi | jq .objects',
      'catavmm inspect --diff monday.cfi tuesday.cfi',
    ],
  },
  {
    name: 'verify',
    summary: 'check every byte of an image',
    usage: 'IMAGE',
    operands: image,
    complete: 'file',
    flags: [],
    examples: [
      'catavmm verify app.cfi',
      'catavmm verify --json app.cfi',
      'catavmm verify --quiet app.cfi && catavmm boot app.cfi',
    ],
  },
  {
    name: 'syscalls',
    summary: 'list the system calls that guests may make',
    usage: '[--json] [--family NAME]',
    operands: { low: 0, high: 0, what: 'no operands' },
    flags: [{ name: 'family', value: 'NAME', help: 'only one family, for example futex' }],
    examples: [
      'catavmm syscalls',
      'catavmm syscalls --family futex',
      "catavmm syscalls --json | jq '.[] | select(.support == \"missing\").name'",
    ],
  },
  {
    name: 'doctor',
    summary: 'check whether this host can run sandboxes, and how fast',
    usage: '[--json]',
    operands: { low: 0, high: 0, what: 'no operands' },
    flags: [],
    examples: ['catavmm doctor', 'catavmm doctor --json', 'catavmm doctor --quiet && echo ready'],
  },
  {
    name: 'bench',
    summary: 'measure this host, beside a C program, the native programs and gVisor',
    usage: '[--only NAME,…] [--runs N] [--quick] [--html FILE] [--json]',
    operands: { low: 0, high: 0, what: 'no operands' },
    flags: [
      { name: 'only', value: 'NAME,…', help: 'these experiments only; docs/evaluation.md has all' },
      { name: 'runs', value: 'N', help: 'measure everything N times (default: 20)' },
      { name: 'quick', help: 'show that everything works, not how fast' },
      {
        name: 'html', value: 'FILE', complete: 'file',
        help: 'write a page with figures, all numbers and the surroundings',
      },
      {
        name: 'svg', value: 'DIR', complete: 'directory', help: 'write each figure as a file',
      },
    ],
    examples: [
      'catavmm bench --html report.html', 'catavmm bench --only exit,boots --runs 50',
      'catavmm bench --json > bench.json',
    ],
  },
  {
    name: 'completion',
    summary: 'print a completion script for a shell',
    usage: 'bash|zsh|fish',
    operands: { low: 1, high: 1, what: 'the name of a shell: bash, zsh or fish' },
    complete: ['bash', 'zsh', 'fish'],
    flags: [],
    examples: [
      'source <(catavmm completion bash)',
      'catavmm completion zsh > ~/.zfunc/_catavmm',
      'catavmm completion fish > ~/.config/fish/completions/catavmm.fish',
    ],
  },
];

export function findCommand(name: string): CommandSpec | undefined {
  return commands.find((command) => command.name === name);
}

/** The flags of a command, the global ones last. */
export function flagsOf(command: CommandSpec | undefined): readonly FlagSpec[] {
  return command === undefined ? globalFlags : [...command.flags, ...globalFlags];
}
