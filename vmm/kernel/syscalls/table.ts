// The table of system calls: the families' rows joined with the numbers of abi/, each when it is
// first asked for, because a boot needs a few of them and needs them soon.
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
import { inotifyCalls } from './inotify.ts';
import { killCalls } from './kill.ts';
import { limitsCalls } from './limits.ts';
import { lockCalls } from './lock.ts';
import { memoryCalls } from './memory.ts';
import { messageCalls } from './message.ts';
import { openCalls } from './open.ts';
import { pidfdCalls } from './pidfd.ts';
import { pipeCalls } from './pipe.ts';
import { pollCalls } from './poll.ts';
import { prctlCalls } from './prctl.ts';
import { processCalls } from './process.ts';
import { processGroupCalls } from './process-group.ts';
import { randomCalls } from './random.ts';
import { readWriteCalls } from './read-write.ts';
import { schedCalls } from './sched.ts';
import { signalCalls } from './signal.ts';
import { signalfdCalls } from './signalfd.ts';
import { socketCalls } from './socket.ts';
import { spliceCalls } from './splice.ts';
import { statCalls } from './stat.ts';
import { systemCalls } from './system.ts';
import { isDenied, type TemplateClass, templateRuleOf } from './template-classes.ts';
import { threadCalls } from './thread.ts';
import { timeCalls } from './time.ts';
import { timerCalls } from './timer.ts';
import { timerfdCalls } from './timerfd.ts';
import { waitCalls } from './wait.ts';

/** A row with its place in the table. */
export interface SyscallRow extends Row {
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
  inotify: inotifyCalls,
  kill: killCalls,
  limits: limitsCalls,
  lock: lockCalls,
  memory: memoryCalls,
  open: openCalls,
  pidfd: pidfdCalls,
  pipe: pipeCalls,
  poll: pollCalls,
  prctl: prctlCalls,
  process: processCalls,
  'process-group': processGroupCalls,
  random: randomCalls,
  'read-write': readWriteCalls,
  sched: schedCalls,
  signal: signalCalls,
  signalfd: signalfdCalls,
  socket: socketCalls,
  splice: spliceCalls,
  message: messageCalls,
  stat: statCalls,
  system: systemCalls,
  thread: omit(threadCalls, 'membarrier'),
  time: timeCalls,
  timer: timerCalls,
  timerfd: timerfdCalls,
  wait: waitCalls,
};

/** A family without a call that another file has in full. */
function omit(family: Family, name: string): Family {
  return Object.fromEntries(Object.entries(family).filter(([key]) => key !== name));
}

const NO_ROW: Row = missing(ENOSYS, 'Not a system call of x86-64 Linux.');

/** What no family has. */
type Absent = Family | (() => Family);

export class SyscallTable {
  readonly #families: Families;
  readonly #absent: Absent;
  /** Rows that were asked for, Linux's by number, ours behind them: a start makes none. */
  readonly #rows: (SyscallRow | undefined)[] = [];
  #names: Map<number, string> | null = null;

  /**
   * Joins families. A name that none has takes its row from `absent`, or is an ENOSYS.
   * @param isTrusted leaves check() to a test
   * @throws as check() does
   */
  constructor(families: Families, absent: Absent = {}, isTrusted: boolean = false) {
    this.#families = families;
    this.#absent = absent;
    if (!isTrusted) this.check();
  }

  /** @throws when two families have one name, or a name is no system call */
  check(): void {
    const seen = new Map<string, string>();
    for (const [family, calls] of Object.entries(this.#families)) {
      for (const name of Object.keys(calls)) {
        const other = seen.get(name);
        if (other !== undefined) throw new Error(`${name} is in ${other}.ts and ${family}.ts`);
        requireName(name, family);
        seen.set(name, family);
      }
    }
    for (const name of Object.keys(this.#absentCalls())) requireName(name, 'absent');
  }

  /** The row of a number that a guest gave (u32); one without a call has an ENOSYS row. */
  rowOf(nr: number): SyscallRow {
    const known = this.#rows[nr < NR_SYSCALLS ? nr : nr - CATAVMM_BASE + NR_SYSCALLS];
    return known !== undefined && known.nr === nr ? known : this.#make(nr);
  }

  /** Linux's and our rows that have a name, in the order of their numbers. */
  named(): SyscallRow[] {
    return [...this.#numbered().keys()].sort((a, b) => a - b).map((nr) => this.rowOf(nr));
  }

  #absentCalls(): Family {
    return typeof this.#absent === 'function' ? this.#absent() : this.#absent;
  }

  #numbered(): Map<number, string> {
    if (this.#names === null) {
      this.#names = new Map();
      for (const [name, nr] of Object.entries(SYSCALL_NUMBERS)) this.#names.set(nr, name);
      for (const [name, nr] of Object.entries(CATAVMM_NUMBERS)) this.#names.set(nr, name);
    }
    return this.#names;
  }

  #make(nr: number): SyscallRow {
    const name = this.#numbered().get(nr);
    if (name === undefined) return makeRow(NO_ROW, nr, '', '');
    const made = this.#find(nr, name);
    this.#rows[nr < NR_SYSCALLS ? nr : nr - CATAVMM_BASE + NR_SYSCALLS] = made;
    return made;
  }

  #find(nr: number, name: string): SyscallRow {
    for (const family of Object.keys(this.#families)) {
      const row = ownRow(this.#families[family] as Family, name);
      if (row !== undefined) return makeRow(row, nr, name, family);
    }
    const row = ownRow(this.#absentCalls(), name);
    return row === undefined
      ? makeRow(missing(ENOSYS, 'No row.'), nr, name, '') : makeRow(row, nr, name, 'absent');
  }
}

function ownRow(family: Family, name: string): Row | undefined {
  return Object.hasOwn(family, name) ? family[name] : undefined;
}

function requireName(name: string, family: string): void {
  if (Object.hasOwn(SYSCALL_NUMBERS, name) || Object.hasOwn(CATAVMM_NUMBERS, name)) return;
  throw new Error(`${family}.ts: ${name} is not a system call`);
}

// All rows are built here so that they have one shape: the dispatcher reads one for each call.
function makeRow(row: Row, nr: number, name: string, family: string): SyscallRow {
  const { support, note, errno } = row;
  const handler = isDenied(name) ? remembering(nr, row.handler) : row.handler;
  return { support, handler, note, errno, nr, name, family };
}

/** A denied call leaves its number behind; the others pay nothing for that. */
function remembering(nr: number, handler: Handler): Handler {
  return (k, task, a) => {
    if (k.root.deniedCall === 0) k.root.deniedCall = nr + 1;
    return handler(k, task, a);
  };
}

/** The guest kernel's table. */
export const syscallTable: SyscallTable = new SyscallTable(FAMILIES, absentCalls, true);

/** Every call that Linux or catavmm has, for people and tools. */
export function describeSyscalls(table: SyscallTable = syscallTable): SyscallInfo[] {
  return table.named().map((row) => {
    const { nr, name, family, support, errno, note } = row;
    const { template, templateNote } = templateRuleOf(name, row);
    return { nr, name, family, support, errno, note, template, templateNote };
  });
}
