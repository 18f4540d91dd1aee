// System calls as lines of text, in the manner of strace(1).
//
//   openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
//   [pid 2] futex(0x7f00, FUTEX_WAIT|FUTEX_PRIVATE, 0, NULL <unfinished ...>
//   [pid 2] <... futex resumed>) = 0
//
// It only reads: registers and guest memory as they are before the call. Bytes of the guest are
// escaped, so that a line cannot steer a terminal.
import { errnoName, errnoText, MAX_ERRNO } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { type Process, TASK_BLOCKED, TASK_DEAD, type Task } from '../records/task.ts';
import { ERESTARTNOINTR } from '../signal/restart.ts';
import { getReg, REG } from './args.ts';
import type { SyscallCounter } from './counter.ts';
import { ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTSYS } from './define.ts';
import { pendingRestart, readResult } from './dispatch.ts';
import { formatSymbol } from './flags.ts';
import { formatArguments } from './strace-args.ts';
import { type SyscallRow, type SyscallTable, syscallTable } from './table.ts';

/** Where `=` stands, as in strace. */
const RESULT_COLUMN = 39;
/** Calls that answer an address. */
const ADDRESS_RESULTS: ReadonlySet<string> = new Set(['mmap', 'mremap', 'brk', 'shmat']);

const RESTART_NAMES: ReadonlyMap<number, string> = new Map([
  [ERESTARTSYS, 'ERESTARTSYS (To be restarted if SA_RESTART is set)'],
  [ERESTARTNOINTR, 'ERESTARTNOINTR (To be restarted)'],
  [ERESTARTNOHAND, 'ERESTARTNOHAND (To be restarted if no handler)'],
  [ERESTART_RESTARTBLOCK, 'ERESTART_RESTARTBLOCK (Interrupted by signal)'],
]);

/** The name of a row, or its number for what is no system call. */
export function nameOf(row: SyscallRow): string {
  return row.name === '' ? `syscall_0x${row.nr.toString(16)}` : row.name;
}

/**
 * The call that `task`'s registers ask for: `name(arguments)`.
 * @param nr its number (u32)
 */
export function formatCall(
  k: Kernel,
  task: Task,
  nr: number,
  table: SyscallTable = syscallTable,
): string {
  const row = table.rowOf(nr);
  return `${nameOf(row)}(${formatArguments(k, task, row)})`;
}

/** A result as it stands after the equals sign: `3`, `0x7f0000001000`, `-1 EPERM (…)`. */
export function formatResult(result: number, name: string = ''): string {
  if (result < 0 && result >= -MAX_ERRNO) {
    const restart = RESTART_NAMES.get(-result);
    if (restart !== undefined) return `? ${restart}`;
    return `-1 ${errnoName(-result)} (${errnoText(-result)})`;
  }
  return ADDRESS_RESULTS.has(name) ? `0x${result.toString(16)}` : String(result);
}

/** A call whose result is not known yet. */
interface OpenCall {
  readonly name: string;
  readonly text: string;
  /** The `<unfinished ...>` line has been written. */
  isSplit: boolean;
}

/** Writes one line for each call of a sandbox. Order: before(), the dispatch, after(). */
export class Strace {
  readonly #k: Kernel;
  readonly #write: (line: string) => void;
  readonly #table: SyscallTable;
  #open: Map<number, OpenCall> = new Map();

  constructor(k: Kernel, write: (line: string) => void, table: SyscallTable = syscallTable) {
    this.#k = k;
    this.#write = write;
    this.#table = table;
  }

  /** The task has just entered a call; its registers are as the guest left them. */
  before(task: Task): void {
    const row = this.#table.rowOf(getReg(task, REG.rax) % 0x1_0000_0000);
    const text = `${nameOf(row)}(${formatArguments(this.#k, task, row)})`;
    this.#open.set(task.tid, { name: row.name, text, isSplit: false });
  }

  /** The call was executed, or executed again. Writes when there is something new to say. */
  after(task: Task): void {
    const call = this.#open.get(task.tid);
    if (call === undefined) return;
    if (task.state === TASK_BLOCKED) {
      if (!call.isSplit) this.#line(task, `${call.text.slice(0, -1)} <unfinished ...>`);
      call.isSplit = true;
      return;
    }
    this.#open.delete(task.tid);
    const text = call.isSplit ? `<... ${call.name} resumed>)` : call.text;
    const isOver = task.state === TASK_DEAD || task.process.exited;
    const result = isOver ? '?' : resultOf(task, call.name);
    this.#line(task, `${text.padEnd(RESULT_COLUMN)} = ${result}`);
  }

  /** The process has ended: `+++ exited with 0 +++`. */
  end(process: Process): void {
    this.#open.clear();
    this.#write(process.exitSignal === 0
      ? `+++ exited with ${process.exitCode} +++`
      : `+++ killed by ${formatSymbol('signal', process.exitSignal)} +++`);
  }

  #line(task: Task, text: string): void {
    const { process } = task;
    const isAlone = process.tasks.length === 1 && task.tid === process.pid &&
      process.parent === null && process.children === null;
    this.#write(!isAlone ? `[pid ${String(task.tid).padStart(5)}] ${text}` : text);
  }
}

function resultOf(task: Task, name: string): string {
  // A successful execve leaves the new program's registers, where rax is 0 as well.
  const restart = pendingRestart(task);
  return formatResult(restart === 0 ? readResult(task) : -restart, name);
}

/** The table of `strace -c`. Times are the host's, in handlers, and 0 unless they were taken. */
export function formatSummary(
  counter: SyscallCounter,
  table: SyscallTable = syscallTable,
): string {
  const counts = counter.list();
  const totalNs = counts.reduce((sum, count) => sum + count.hostNs, 0);
  const line = '------ ----------- ----------- --------- --------- ----------------';
  const rows = counts.map(({ nr, calls, errors, hostNs }) =>
    summaryRow(totalNs, hostNs, calls, errors, nr < 0 ? 'unknown' : nameOf(table.rowOf(nr)))
  );
  const calls = counts.reduce((sum, count) => sum + count.calls, 0);
  const errors = counts.reduce((sum, count) => sum + count.errors, 0);
  return [
    '% time     seconds  usecs/call     calls    errors syscall',
    line,
    ...rows,
    line,
    summaryRow(totalNs, totalNs, calls, errors, 'total'),
    '',
  ].join('\n');
}

function summaryRow(
  totalNs: number,
  hostNs: number,
  calls: number,
  errors: number,
  name: string,
): string {
  const percent = totalNs === 0 ? 0 : hostNs / totalNs * 100;
  return [
    percent.toFixed(2).padStart(6),
    (hostNs / 1e9).toFixed(6).padStart(11),
    String(calls === 0 ? 0 : Math.round(hostNs / 1e3 / calls)).padStart(11),
    String(calls).padStart(9),
    (errors === 0 ? '' : String(errors)).padStart(9),
    name,
  ].join(' ');
}
