// /proc/<pid>/stat, statm, status: what ps, top and profilers read.
import { RLIMIT_SIGPENDING } from '../../../abi/resource.ts';
import { terminalOf } from '../../ipc/pty.ts';
import type { Kernel } from '../../kernel.ts';
import { type Mm, VMA_STACK } from '../../records/mm.ts';
import {
  type PendingSignal, type Process, SIGNAL_COUNT, type Task, TASK_DEAD, TASK_RUNNABLE,
} from '../../records/task.ts';
import { softLimit } from '../../task/limits.ts';
import { processCpuNs, taskCpuNs } from '../../time/clock.ts';
import { RDEV_PTS } from '../device-file.ts';
import { defineGenerator } from './generated.ts';
import { GEN } from './ids.ts';
import { procProcess, procTask, textOf } from './target-process.ts';

const TICK_NS = 10_000_000;
const PAGE_BYTES = 4096;
const SIG_IGN = 1n;
const ACTION_BYTES = 32;

function stateOf(process: Process, task: Task): string {
  if (process.stopped) return 'T';
  if (task.state === TASK_DEAD) return 'Z';
  return task.state === TASK_RUNNABLE ? 'R' : 'S';
}

function pendingMask(first: PendingSignal | null): bigint {
  let mask = 0n;
  for (let one = first; one !== null; one = one.next) mask |= 1n << BigInt(one.signal - 1);
  return mask;
}

/** Masks of ignored and of caught signals. */
function handlerMasks(process: Process): { ignored: bigint; caught: bigint } {
  const { actions } = process.actions;
  const view = new DataView(actions.buffer, actions.byteOffset, actions.length);
  let ignored = 0n;
  let caught = 0n;
  for (let index = 0; index < SIGNAL_COUNT; index++) {
    const handler = view.getBigUint64(index * ACTION_BYTES, true);
    if (handler === SIG_IGN) ignored |= 1n << BigInt(index);
    else if (handler !== 0n) caught |= 1n << BigInt(index);
  }
  return { ignored, caught };
}

function ticks(ns: number): number {
  return Math.floor(ns / TICK_NS);
}

/** tty_nr and tpgid. */
function terminalFields(k: Kernel, process: Process): [number, number] {
  const pty = terminalOf(k, process);
  return pty === null ? [0, -1] : [RDEV_PTS + pty.number, pty.foreground];
}

function statText(k: Kernel, tid: number, isThread: boolean): string {
  const task = procTask(k, tid);
  const process = task?.process ?? null;
  if (process === null || task === null) return '';
  const { mm } = process;
  const { ignored, caught } = handlerMasks(process);
  const cpu = ticks(isThread ? taskCpuNs(k, task) : processCpuNs(k, process));
  const low32 = (mask: bigint): bigint => mask & 0x7fff_ffffn;
  const fields: (number | bigint | string)[] = [
    tid, `(${textOf(task.name)})`, stateOf(process, task), process.ppid, process.pgid, process.sid,
    ...terminalFields(k, process), 4194304, 0, 0, 0, 0, cpu, 0, ticks(process.childrenCpuNs), 0,
    20, task.nice, process.tasks.length, 0, ticks(process.startedNs), mm?.mappedBytes ?? 0,
    mm?.residentPages ?? 0, '18446744073709551615', mm?.codeStart ?? 0, mm?.codeEnd ?? 0,
    mm?.stackTop ?? 0, 0, 0, low32(pendingMask(task.pending)), low32(task.mask), low32(ignored),
    low32(caught), 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, mm?.dataStart ?? 0, mm?.dataEnd ?? 0,
    mm?.brkStart ?? 0, mm?.argStart ?? 0, mm?.argEnd ?? 0, mm?.envStart ?? 0, mm?.envEnd ?? 0,
    process.exitCode << 8,
  ];
  return `${fields.join(' ')}\n`;
}

defineGenerator(GEN.stat, {
  mode: 0o100444,
  text: (k, tid) => statText(k, tid, procTask(k, tid)?.process.pid !== tid),
});

/** Bytes by use, from the mappings. */
interface Sizes {
  text: number;
  data: number;
  stack: number;
  library: number;
}

function sizesOf(mm: Mm): Sizes {
  const sizes: Sizes = { text: mm.codeEnd - mm.codeStart, data: 0, stack: 0, library: 0 };
  for (let index = 0; index < mm.vmas.length; index++) {
    const vma = mm.vmas.get(index);
    if (vma === null) continue;
    const bytes = vma.end - vma.start;
    const isWritable = (vma.prot & 2) !== 0;
    const isPrivate = (vma.flags & 1) === 0;
    if (vma.role === VMA_STACK) sizes.stack += bytes;
    else if (isWritable && isPrivate) sizes.data += bytes;
    else if ((vma.prot & 4) !== 0 && vma.start !== mm.codeStart) sizes.library += bytes;
  }
  return sizes;
}

defineGenerator(GEN.statm, {
  mode: 0o100444,
  text: (k, pid) => {
    const mm = procProcess(k, pid)?.mm ?? null;
    if (mm === null) return '0 0 0 0 0 0 0\n';
    const { text, data, stack } = sizesOf(mm);
    const pages = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES);
    const numbers = [
      pages(mm.mappedBytes), mm.residentPages, 0, pages(text), 0, pages(data + stack), 0,
    ];
    return `${numbers.join(' ')}\n`;
  },
});

function mask16(mask: bigint): string {
  return mask.toString(16).padStart(16, '0');
}

function kib(name: string, bytes: number): string {
  return `${name}:\t${String(Math.ceil(bytes / 1024)).padStart(8)} kB`;
}

function memoryLines(mm: Mm): string[] {
  const { text, data, stack, library } = sizesOf(mm);
  const resident = mm.residentPages * PAGE_BYTES;
  return [
    kib('VmPeak', mm.mappedBytes), kib('VmSize', mm.mappedBytes), kib('VmLck', 0), kib('VmPin', 0),
    kib('VmHWM', resident), kib('VmRSS', resident), kib('RssAnon', resident), kib('RssFile', 0),
    kib('RssShmem', 0), kib('VmData', data), kib('VmStk', stack), kib('VmExe', text),
    kib('VmLib', library), kib('VmPTE', 0), kib('VmSwap', 0), kib('HugetlbPages', 0),
    'CoreDumping:\t0', 'THP_enabled:\t0',
  ];
}

const STATE_NAMES: Readonly<Record<string, string>> = {
  R: 'R (running)', S: 'S (sleeping)', T: 'T (stopped)', Z: 'Z (zombie)',
};

function identityLines(process: Process, task: Task): string[] {
  const groups = process.groups === null
    ? ''
    : [...process.groups.data.subarray(0, process.groups.length)].join(' ');
  const { realUid, uid, savedUid, fsUid, realGid, gid, savedGid, fsGid } = process;
  return [
    `Name:\t${textOf(task.name)}`,
    `Umask:\t${process.umask.toString(8).padStart(4, '0')}`,
    `State:\t${STATE_NAMES[stateOf(process, task)] ?? ''}`,
    `Tgid:\t${process.pid}`, 'Ngid:\t0', `Pid:\t${task.tid}`, `PPid:\t${process.ppid}`,
    'TracerPid:\t0',
    `Uid:\t${realUid}\t${uid}\t${savedUid}\t${fsUid}`,
    `Gid:\t${realGid}\t${gid}\t${savedGid}\t${fsGid}`,
    `FDSize:\t${process.fds.slots.capacity}`, `Groups:\t${groups} `,
    `NStgid:\t${process.pid}`, `NSpid:\t${task.tid}`, `NSpgid:\t${process.pgid}`,
    `NSsid:\t${process.sid}`, 'Kthread:\t0',
  ];
}

function signalLines(process: Process, task: Task): string[] {
  const { ignored, caught } = handlerMasks(process);
  const limit = softLimit(process, RLIMIT_SIGPENDING);
  return [
    `Threads:\t${process.tasks.length}`,
    `SigQ:\t${process.queuedSignals}/${Number.isFinite(limit) ? limit : '18446744073709551615'}`,
    `SigPnd:\t${mask16(pendingMask(task.pending))}`,
    `ShdPnd:\t${mask16(pendingMask(process.pending))}`,
    `SigBlk:\t${mask16(task.mask)}`, `SigIgn:\t${mask16(ignored)}`, `SigCgt:\t${mask16(caught)}`,
    `CapInh:\t${mask16(process.capInheritable)}`, `CapPrm:\t${mask16(process.capPermitted)}`,
    `CapEff:\t${mask16(process.capEffective)}`, `CapBnd:\t${mask16(process.capBounding)}`,
    `CapAmb:\t${mask16(process.capAmbient)}`,
    `NoNewPrivs:\t${process.noNewPrivileges ? 1 : 0}`, 'Seccomp:\t0', 'Seccomp_filters:\t0',
    'Cpus_allowed:\t1', 'Cpus_allowed_list:\t0', 'Mems_allowed:\t00000001',
    'Mems_allowed_list:\t0', 'voluntary_ctxt_switches:\t0', 'nonvoluntary_ctxt_switches:\t0',
  ];
}

defineGenerator(GEN.status, {
  mode: 0o100444,
  text: (k, tid) => {
    const task = procTask(k, tid);
    const process = task?.process ?? null;
    if (process === null || task === null) return '';
    const memory = process.mm === null ? [] : memoryLines(process.mm);
    const lines = [
      ...identityLines(process, task), ...memory, ...signalLines(process, task),
    ];
    return `${lines.join('\n')}\n`;
  },
});
