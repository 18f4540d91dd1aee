// The system as a whole: uname(2), sysinfo(2), and what only an administrator of a host may do.
import { EFAULT, EINVAL, EPERM } from '../../abi/errno.ts';
import { UTS_LEN } from '../../abi/limits.ts';
import { Sysinfo, Utsname } from '../../abi/struct-task.ts';
import { NSEC_PER_SEC } from '../../abi/time.ts';
import type { Kernel } from '../kernel.ts';
import { copyOut } from '../mm/user-memory.ts';
import { PAGE_BYTES } from '../ports.ts';
import type { Task } from '../records/task.ts';
import { nowNs } from '../time/clock.ts';
import type { Args } from './args.ts';
import { type Family, full, missing, partial } from './define.ts';

/** The Linux that programs may count on; its major and minor number are those they test for. */
export const KERNEL_RELEASE = '6.1.0-catavmm';
export const KERNEL_VERSION = '#1 SMP catavmm';
const DEFAULT_HOSTNAME = 'catavmm';
const DEFAULT_DOMAIN = '(none)';

const encoder = new TextEncoder();

/** Sets what uname(2) calls the node; cut to 64 bytes. */
export function setHostname(k: Kernel, name: string): void {
  k.root.hostname = encoder.encode(name).subarray(0, UTS_LEN);
}

/** The node's name, without the NUL. */
export function hostname(k: Kernel): Uint8Array {
  const { hostname: bytes } = k.root;
  const nul = bytes.indexOf(0);
  return nul === 0 ? encoder.encode(DEFAULT_HOSTNAME) : bytes.slice(0, nul);
}

function uname(k: Kernel, task: Task, a: Args): number {
  const raw = new Uint8Array(Utsname.bytes);
  raw.set(encoder.encode('Linux'), Utsname.sysname.offset);
  raw.set(hostname(k), Utsname.nodename.offset);
  raw.set(encoder.encode(KERNEL_RELEASE), Utsname.release.offset);
  raw.set(encoder.encode(KERNEL_VERSION), Utsname.version.offset);
  raw.set(encoder.encode(machineOf(task)), Utsname.machine.offset);
  const domain = k.root.domainname;
  const named = domain[0] === 0 ? encoder.encode(DEFAULT_DOMAIN) : domain.subarray(0, UTS_LEN);
  raw.set(named, Utsname.domainname.offset);
  return copyOut(k, a.u64(0), raw) === raw.length ? 0 : -EFAULT;
}

/** PER_LINUX32 (setarch) makes programs believe in a 32-bit machine. */
const PER_LINUX32 = 0x0008;
const PER_MASK = 0x00ff;

function machineOf(task: Task): string {
  return (task.process.personality & PER_MASK) === PER_LINUX32 ? 'i686' : 'x86_64';
}

function sysinfo(k: Kernel, task: Task, a: Args): number {
  const { process } = task;
  const used = (process.mm?.residentPages ?? 0) * PAGE_BYTES;
  const total = k.limits.memoryBytes;
  const raw = new Uint8Array(Sysinfo.bytes);
  const view = new DataView(raw.buffer);
  Sysinfo.uptime.set(view, 0, Math.floor(nowNs(k) / NSEC_PER_SEC));
  Sysinfo.totalram.set(view, 0, total);
  Sysinfo.freeram.set(view, 0, Math.max(0, total - used));
  Sysinfo.procs.set(view, 0, process.tasks.length);
  Sysinfo.mem_unit.set(view, 0, 1);
  return copyOut(k, a.u64(0), raw) === raw.length ? 0 : -EFAULT;
}

const SYSLOG_ACTION_MOST = 10;

function syslog(_k: Kernel, _task: Task, a: Args): number {
  const action = a.i32(0);
  return action < 0 || action > SYSLOG_ACTION_MOST ? -EINVAL : -EPERM;
}

const NEEDS_ADMIN = 'Needs CAP_SYS_ADMIN, which a container does not have.';

export const systemCalls: Family = {
  uname: full(uname),
  sysinfo: partial(sysinfo, 'Memory, uptime and threads; no load averages.'),
  syslog: partial(syslog, 'The kernel log cannot be read: EPERM.'),
  sethostname: missing(EPERM, NEEDS_ADMIN),
  setdomainname: missing(EPERM, NEEDS_ADMIN),
};
