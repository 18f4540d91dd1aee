// Waiting for children: what wait4(2) and waitid(2) have in common (Linux: do_wait).
import { SIGCHLD } from '../../abi/signal.ts';
import { __WALL, __WCLONE, WCONTINUED, WEXITED, WNOWAIT, WSTOPPED } from '../../abi/wait.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import { forEachChild } from './family.ts';
import { reapProcess, sweepGone } from './zombie.ts';

/** Whom a call waits for, and for what. */
export interface WaitRequest {
  kind: 'any' | 'pid' | 'group';
  id: number;
  /** W*: which changes count, and WNOWAIT. */
  options: number;
}

/** A change of a child's state. */
export interface ChildChange {
  kind: 'exited' | 'killed' | 'stopped' | 'continued';
  pid: number;
  uid: number;
  /** The exit code or the signal. */
  value: number;
  cpuNs: number;
}

/** The next change, `none` while there is none yet, `childless` when there will be none. */
export type WaitOutcome = ChildChange | 'none' | 'childless';

/** Finds a change that `parent` waits for and, unless WNOWAIT, takes note of it. */
export function takeChange(k: Kernel, parent: Process, request: WaitRequest): WaitOutcome {
  sweepGone(k, parent);
  let hasCandidates = false;
  let found: { child: Process; change: ChildChange } | null = null;
  forEachChild(parent, (child) => {
    if (child.isGone || !isMeant(child, request)) return;
    const change = changeOf(child, request.options);
    // Linux: who has ended is no child to those who do not wait for ends.
    if (!child.exited) hasCandidates = true;
    // The list is newest first; Linux looks at the oldest first.
    if (change !== null) found = { child, change };
  });
  if (found === null) return hasCandidates ? 'none' : 'childless';
  const { child, change } = found as { child: Process; change: ChildChange };
  if ((request.options & WNOWAIT) === 0) takeNote(k, child, change);
  return change;
}

function isMeant(child: Process, { kind, id, options }: WaitRequest): boolean {
  if (kind === 'pid' && child.pid !== id) return false;
  if (kind === 'group' && child.pgid !== id) return false;
  if ((options & __WALL) !== 0) return true;
  return (child.childSignal !== SIGCHLD) === ((options & __WCLONE) !== 0);
}

function changeOf(child: Process, options: number): ChildChange | null {
  const { pid, realUid: uid, exitSignal } = child;
  const cpuNs = child.cpuNs + child.childrenCpuNs;
  if (child.exited) {
    if ((options & WEXITED) === 0) return null;
    return exitSignal === 0
      ? { kind: 'exited', pid, uid, value: child.exitCode, cpuNs }
      : { kind: 'killed', pid, uid, value: exitSignal, cpuNs };
  }
  if (child.stopReport !== 0 && (options & WSTOPPED) !== 0) {
    return { kind: 'stopped', pid, uid, value: child.stopReport, cpuNs };
  }
  if (child.continueReport && (options & WCONTINUED) !== 0) {
    return { kind: 'continued', pid, uid, value: 0, cpuNs };
  }
  return null;
}

function takeNote(k: Kernel, child: Process, { kind }: ChildChange): void {
  if (kind === 'stopped') child.stopReport = 0;
  else if (kind === 'continued') child.continueReport = false;
  else reapProcess(k, child);
}
