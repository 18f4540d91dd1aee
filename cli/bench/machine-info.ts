// The machine that figures belong to, and how much of it others used meanwhile.
//
//   CPU time of the machine (/proc/stat) = ours + that of our ended children + others'
//
// What others use makes figures larger and, above all, unsteady: a run that had to share says so.
import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg, release, totalmem } from 'node:os';
import { findKvmKind } from '../../vmm/doctor/host.ts';
import { getRuntime } from '../../vmm/host/runtime.ts';

export interface MachineInfo {
  cpu: string;
  cpus: number;
  memoryMib: number;
  kernel: string;
  /** VMX, SVM, PVM (a VM that offers VMs without the CPU's help), or unknown. */
  kvm: string;
  /** True when this host is a virtual machine itself. */
  virtual: boolean;
  runtime: string;
}

/** Linux counts CPU time in 1/100 s in /proc, whatever its own clock. */
const TICKS_PER_SECOND = 100;

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export function describeMachine(): MachineInfo {
  const cpuinfo = readText('/proc/cpuinfo');
  const { name, version } = getRuntime();
  return {
    cpu: /^model name\s*:\s*(.*)$/m.exec(cpuinfo)?.[1] ?? 'unknown',
    cpus: availableParallelism(),
    memoryMib: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    kvm: findKvmKind() ?? 'unknown',
    virtual: /^flags\s*:.*\bhypervisor\b/m.test(cpuinfo),
    runtime: `${name} ${version}`,
  };
}

/** The 1-minute load average. */
export function currentLoad(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100;
}

interface Ticks {
  /** All CPUs, busy and idle. */
  total: number;
  busy: number;
  /** Time that the outer host gave to others (nested virtualisation). */
  steal: number;
  /** This process and its children that have ended. */
  ours: number;
}

function readTicks(): Ticks {
  const line = /^cpu +(.*)$/m.exec(readText('/proc/stat'))?.[1] ?? '';
  // user nice system idle iowait irq softirq steal; guest times are in user already.
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] =
    line.split(' ').map(Number);
  const busy = user + nice + system + irq + softirq;
  // Behind the command's name, which may contain anything: utime is field 14, cstime 17.
  const stat = readText('/proc/self/stat');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ').map(Number);
  const ours = fields.slice(11, 15).reduce((sum, ticks) => sum + ticks, 0);
  return { total: busy + idle + iowait + steal, busy, steal, ours };
}

/** How the machine was shared during a stretch of time. */
export interface Sharing {
  seconds: number;
  /** CPU time that other processes used, in percent of one CPU; null when it is not known. */
  othersPercent: number | null;
  /** CPU time that the outer host withheld, in percent of one CPU. */
  stealPercent: number | null;
}

/** Above this share of one CPU, others make figures doubtful. */
export const OTHERS_PERCENT_HIGH = 10;
/** Shorter stretches say nothing: ticks are too coarse. */
const SECONDS_LOW = 0.2;

/** Begins a stretch; call the result at its end. Preconditions: our children have ended then. */
export function watchSharing(): () => Sharing {
  const before = readTicks();
  const startedMs = performance.now();
  return () => {
    const seconds = (performance.now() - startedMs) / 1000;
    const after = readTicks();
    const known = after.total > before.total && seconds >= SECONDS_LOW;
    const percent = (ticks: number): number | null => known
      ? Math.max(0, Math.round(ticks / TICKS_PER_SECOND / seconds * 100)) : null;
    const busy = after.busy - before.busy;
    return {
      seconds: Math.round(seconds * 100) / 100,
      othersPercent: percent(busy - (after.ours - before.ours)),
      stealPercent: percent(after.steal - before.steal),
    };
  };
}
