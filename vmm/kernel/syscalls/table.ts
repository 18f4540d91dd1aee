// The table of system calls: the families' rows joined with the numbers of abi/ into a dense array.
// It is data: dispatch, strace, `catavmm syscalls` and docs/syscalls.md all read it.
//
// Invariant: every number of x86-64 Linux has a row; a name no family has is in absent.ts.
import { ENOSYS } from '../../abi/errno.ts';
import { CATAVMM_BASE, CATAVMM_NUMBERS } from '../../abi/catavmm.ts';
import { NR_SYSCALLS, SYSCALL_NUMBERS } from '../../abi/syscall-numbers.ts';
import { absentCalls } from './absent.ts';
import { type Family, type Handler, missing, type Row } from './define.ts';
import { entryCalls } from '../entry.ts';
import { descriptorCalls } from './descriptor.ts';
import { directoryCalls } from './directory.ts';
import { epollCalls } from './epoll.ts';
import { eventfdCalls } from './eventfd.ts';
import { execCalls } from './exec.ts';
import { filesystemCalls } from './filesystem.ts';
import { futexCalls } from './futex.ts';
import { identityCalls } from './identity.ts';
import { killCalls } from './kill.ts';
import { limitsCalls } from './limits.ts';
import { lockCalls } from './lock.ts';
import { memoryCalls } from './memory.ts';
import { openCalls } from './open.ts';
import { pipeCalls } from './pipe.ts';
import { pollCalls } from './poll.ts';
import { prctlCalls } from './prctl.ts';
import { processCalls } from './process.ts';
import { randomCalls } from './random.ts';
import { readWriteCalls } from './read-write.ts';
import { schedCalls } from './sched.ts';
import { signalCalls } from './signal.ts';
import { signalfdCalls } from './signalfd.ts';
import { socketCalls } from './socket.ts';
import { statCalls } from './stat.ts';
import { systemCalls } from './system.ts';
import { type TemplateClass, type TemplateRule, templateRuleOf } from './template-classes.ts';
import { threadCalls } from './thread.ts';
import { timeCalls } from './time.ts';
import { timerCalls } from './timer.ts';
import { timerfdCalls } from './timerfd.ts';

/** A row with its place in the table. */
export interface SyscallRow extends Row, TemplateRule {
  readonly nr: number;
  readonly name: string;
  /** The family's file, or 'absent'. */
  readonly family: string;
}

/** What `catavmm syscalls --json` prints. */
export interface SyscallInfo {
  readonly nr: number;
  readonly name: string;
  readonly family: string;
  readonly support: 'full' | 'partial' | 'missing';
  /** The errno of a missing call, by number; 0 otherwise. */
  readonly errno: number;
  readonly note: string;
  /** What it means for templates and images, and how or why (template-classes.ts). */
  readonly template: TemplateClass;
  readonly templateNote: string;
}

/** Families by the name of their file. */
export type Families = Readonly<Record<string, Family>>;

const FAMILIES: Families = {
  entry: entryCalls,
  descriptor: descriptorCalls,
  directory: directoryCalls,
  epoll: epollCalls,
  eventfd: eventfdCalls,
  exec: execCalls,
  filesystem: filesystemCalls,
  futex: futexCalls,
  identity: identityCalls,
  kill: killCalls,
  limits: limitsCalls,
  lock: lockCalls,
  memory: memoryCalls,
  open: openCalls,
  pipe: pipeCalls,
  poll: pollCalls,
  prctl: prctlCalls,
  process: processCalls,
  random: randomCalls,
  'read-write': readWriteCalls,
  sched: schedCalls,
  signal: signalCalls,
  signalfd: signalfdCalls,
  socket: socketCalls,
  stat: statCalls,
  system: systemCalls,
  thread: omit(threadCalls, 'membarrier'),
  time: timeCalls,
  timer: timerCalls,
  timerfd: timerfdCalls,
};

/** A family without a call that another file has in full. */
function omit(family: Family, name: string): Family {
  return Object.fromEntries(Object.entries(family).filter(([key]) => key !== name));
}

const NO_ROW: Row = missing(ENOSYS, 'Not a system call of x86-64 Linux.');

export class SyscallTable {
  /** Linux's rows by number; a number without a call has an ENOSYS row without a name. */
  readonly rows: readonly SyscallRow[];
  /** Our own calls: number - CATAVMM_BASE is the index. */
  readonly own: readonly SyscallRow[];

  /**
   * Joins families. A name that none has takes its row from `absent`, or is an ENOSYS.
   * @throws when two families have one name, or a name is no system call
   */
  constructor(families: Families, absent: Family = {}) {
    const byName = joinFamilies(families, absent);
    this.rows = placeRows(byName, SYSCALL_NUMBERS, 0, NR_SYSCALLS);
    const ownCount = Object.keys(CATAVMM_NUMBERS).length;
    this.own = placeRows(byName, CATAVMM_NUMBERS, CATAVMM_BASE, ownCount);
  }

  /** The row of a number that a guest gave (u32). */
  rowOf(nr: number): SyscallRow {
    return this.rows[nr] ?? this.own[nr - CATAVMM_BASE] ?? unknownRow(nr);
  }

  /** Linux's and our rows that have a name, in the order of their numbers. */
  named(): SyscallRow[] {
    return [...this.rows, ...this.own].filter((row) => row.name !== '');
  }
}

type NamedRow = readonly [family: string, row: Row];

function joinFamilies(families: Families, absent: Family): Map<string, NamedRow> {
  const byName: Map<string, NamedRow> = new Map();
  for (const [family, calls] of Object.entries(families)) {
    for (const [name, row] of Object.entries(calls)) {
      const other = byName.get(name);
      if (other !== undefined) throw new Error(`${name} is in ${other[0]}.ts and ${family}.ts`);
      requireName(name, family);
      byName.set(name, [family, row]);
    }
  }
  for (const [name, row] of Object.entries(absent)) {
    requireName(name, 'absent');
    if (!byName.has(name)) byName.set(name, ['absent', row]);
  }
  return byName;
}

function requireName(name: string, family: string): void {
  if (Object.hasOwn(SYSCALL_NUMBERS, name) || Object.hasOwn(CATAVMM_NUMBERS, name)) return;
  throw new Error(`${family}.ts: ${name} is not a system call`);
}

function placeRows(
  byName: ReadonlyMap<string, NamedRow>,
  numbers: Readonly<Record<string, number>>,
  first: number,
  count: number,
): SyscallRow[] {
  const rows = Array.from({ length: count }, (_, index) => unknownRow(first + index));
  for (const [name, nr] of Object.entries(numbers)) {
    const [family, row] = byName.get(name) ?? ['', missing(ENOSYS, 'No row.')];
    rows[nr - first] = makeRow(row, nr, name, family);
  }
  return rows;
}

// All rows are built here so that they have one shape: the dispatcher reads one for each call.
function makeRow(row: Row, nr: number, name: string, family: string): SyscallRow {
  const { support, note, errno } = row;
  const { template, templateNote } = templateRuleOf(name, row);
  const handler = template === 'denied' ? remembering(nr, row.handler) : row.handler;
  return { support, handler, note, errno, nr, name, family, template, templateNote };
}

/** A denied call leaves its number behind; the others pay nothing for that. */
function remembering(nr: number, handler: Handler): Handler {
  return (k, task, a) => {
    if (k.root.deniedCall === 0) k.root.deniedCall = nr + 1;
    return handler(k, task, a);
  };
}

function unknownRow(nr: number): SyscallRow {
  return makeRow(NO_ROW, nr, '', '');
}

/** The guest kernel's table. */
export const syscallTable: SyscallTable = new SyscallTable(FAMILIES, absentCalls);

/** Every call that Linux or catavmm has, for people and tools. */
export function describeSyscalls(table: SyscallTable = syscallTable): SyscallInfo[] {
  return table.named().map((row) => {
    const { nr, name, family, support, errno, note, template, templateNote } = row;
    return { nr, name, family, support, errno, note, template, templateNote };
  });
}
