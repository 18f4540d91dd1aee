// Users, groups, capabilities. Credentials belong to the process here; on Linux each thread has its
// own and the C library keeps them equal.
//
// A program starts as root with the capabilities that root has in a container
// (task/make-process.ts).
import { EFAULT, EINVAL, EPERM, ESRCH } from '../../abi/errno.ts';
import {
  CAP_LAST_CAP, LINUX_CAPABILITY_VERSION_1, LINUX_CAPABILITY_VERSION_2, LINUX_CAPABILITY_VERSION_3,
} from '../../abi/prctl.ts';
import { UserCapData, UserCapHeader } from '../../abi/struct-task.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut, readStruct, writeU32 } from '../mm/user-memory.ts';
import type { Process, Task } from '../records/task.ts';
import { makeWords } from '../state/containers.ts';
import { findThread } from '../task/family.ts';
import { findTask } from '../task/make-process.ts';
import type { Args } from './args.ts';
import { type Family, full } from './define.ts';

const CAP_SETGID = 1n << 6n;
const CAP_SETUID = 1n << 7n;
const CAP_SETPCAP = 1n << 8n;
const ALL_CAPABILITIES = (1n << BigInt(CAP_LAST_CAP + 1)) - 1n;
/** (uid_t) -1: leave as it is. */
const KEEP = 0xffff_ffff;
const NGROUPS_MAX = 65536;

/** Real, effective, saved and file-system id. */
interface Ids {
  real: number;
  effective: number;
  saved: number;
  fs: number;
}

/** One kind of id: users or groups. */
interface IdKind {
  readonly capability: bigint;
  read(process: Process): Ids;
  write(process: Process, ids: Ids): void;
}

const USERS: IdKind = {
  capability: CAP_SETUID,
  read: (p) => ({ real: p.realUid, effective: p.uid, saved: p.savedUid, fs: p.fsUid }),
  write: changeUsers,
};

const GROUPS: IdKind = {
  capability: CAP_SETGID,
  read: (p) => ({ real: p.realGid, effective: p.gid, saved: p.savedGid, fs: p.fsGid }),
  write: (p, ids) => {
    if (ids.effective !== p.gid) p.dumpable = 0;
    p.realGid = ids.real;
    p.gid = ids.effective;
    p.savedGid = ids.saved;
    p.fsGid = ids.fs;
  },
};

/** Linux: cap_emulate_setxuid(). Leaving uid 0 takes the capabilities away. */
function changeUsers(p: Process, ids: Ids): void {
  const wasRoot = p.realUid === 0 || p.uid === 0 || p.savedUid === 0;
  const isRoot = ids.real === 0 || ids.effective === 0 || ids.saved === 0;
  if (wasRoot && !isRoot) {
    if (!p.keepCaps) {
      p.capPermitted = 0n;
      p.capEffective = 0n;
    }
    p.capAmbient = 0n;
  }
  if (p.uid === 0 && ids.effective !== 0) p.capEffective = 0n;
  if (p.uid !== 0 && ids.effective === 0) p.capEffective = p.capPermitted;
  if (ids.effective !== p.uid) p.dumpable = 0;
  p.realUid = ids.real;
  p.uid = ids.effective;
  p.savedUid = ids.saved;
  p.fsUid = ids.fs;
}

function isCapable(process: Process, capability: bigint): boolean {
  return (process.capEffective & capability) !== 0n;
}

/** setuid(2), setgid(2) */
function setId(kind: IdKind, process: Process, id: number): number {
  if (id === KEEP) return -EINVAL;
  const ids = kind.read(process);
  if (isCapable(process, kind.capability)) {
    ids.real = id;
    ids.saved = id;
  } else if (id !== ids.real && id !== ids.saved) {
    return -EPERM;
  }
  ids.effective = id;
  ids.fs = id;
  kind.write(process, ids);
  return 0;
}

/** setreuid(2), setregid(2) */
function setRealAndEffective(
  kind: IdKind,
  process: Process,
  real: number,
  effective: number,
): number {
  const old = kind.read(process);
  const ids = { ...old };
  const mayAll = isCapable(process, kind.capability);
  if (real !== KEEP) {
    if (!mayAll && real !== old.real && real !== old.effective) return -EPERM;
    ids.real = real;
  }
  if (effective !== KEEP) {
    const isOwn = effective === old.real || effective === old.effective || effective === old.saved;
    if (!mayAll && !isOwn) return -EPERM;
    ids.effective = effective;
  }
  if (real !== KEEP || effective !== KEEP && effective !== old.real) ids.saved = ids.effective;
  ids.fs = ids.effective;
  kind.write(process, ids);
  return 0;
}

/** setresuid(2), setresgid(2) */
function setAllIds(kind: IdKind, process: Process, a: Args): number {
  const old = kind.read(process);
  const wanted = [a.u32(0), a.u32(1), a.u32(2)] as const;
  const own = [old.real, old.effective, old.saved];
  if (!isCapable(process, kind.capability)) {
    for (const id of wanted) if (id !== KEEP && !own.includes(id)) return -EPERM;
  }
  const ids = { ...old };
  if (wanted[0] !== KEEP) ids.real = wanted[0];
  if (wanted[1] !== KEEP) ids.effective = wanted[1];
  if (wanted[2] !== KEEP) ids.saved = wanted[2];
  ids.fs = ids.effective;
  kind.write(process, ids);
  return 0;
}

/** setfsuid(2), setfsgid(2): returns the old id, whether it changed or not. */
function setFsId(kind: IdKind, process: Process, id: number): number {
  const ids = kind.read(process);
  const old = ids.fs;
  const isOwn = id === ids.real || id === ids.effective || id === ids.saved || id === ids.fs;
  if (id !== KEEP && (isOwn || isCapable(process, kind.capability))) {
    kind.write(process, { ...ids, fs: id });
  }
  return old;
}

function writeIds(k: Kernel, a: Args, ids: Ids): number {
  const places = [a.u64(0), a.u64(1), a.u64(2)];
  const values = [ids.real, ids.effective, ids.saved];
  for (let i = 0; i < 3; i++) {
    if (!writeU32(k, places[i] as number, values[i] as number)) return -EFAULT;
  }
  return 0;
}

function getgroups(k: Kernel, task: Task, a: Args): number {
  const count = a.i32(0);
  const { groups } = task.process;
  const held = groups?.length ?? 0;
  if (count < 0) return -EINVAL;
  if (count === 0 || held === 0) return held;
  if (held > count || groups === null) return -EINVAL;
  const list = groups.data.subarray(0, held);
  const raw = new Uint8Array(list.buffer, list.byteOffset, list.byteLength);
  return copyOut(k, a.u64(1), raw) === raw.length ? held : -EFAULT;
}

function setgroups(k: Kernel, task: Task, a: Args): number {
  const { process } = task;
  const count = a.i32(0);
  if (!isCapable(process, CAP_SETGID)) return -EPERM;
  if (count < 0 || count > NGROUPS_MAX) return -EINVAL;
  const raw = new Uint8Array(count * 4);
  if (copyIn(k, a.u64(1), raw) !== raw.length) return -EFAULT;
  const groups = makeWords(k.arena, count);
  groups.length = count;
  // Linux keeps them sorted, and that is how getgroups(2) shows them.
  groups.data.set(new Uint32Array(raw.buffer).sort());
  if (process.groups !== null) k.arena.free(process.groups);
  process.groups = groups;
  return 0;
}

// Capabilities

/** Number of data records of a version, or 0 when it is unknown. */
function capRecords(version: number): number {
  if (version === LINUX_CAPABILITY_VERSION_1) return 1;
  return version === LINUX_CAPABILITY_VERSION_2 || version === LINUX_CAPABILITY_VERSION_3 ? 2 : 0;
}

/** Reads the header; tells the version to use when the guest's is unknown (cap_validate_magic). */
function readCapHeader(k: Kernel, gva: number): { records: number; pid: number } | number {
  const view = readStruct(k, gva, UserCapHeader.bytes);
  if (view === null) return -EFAULT;
  const pid = UserCapHeader.pid.get(view, 0);
  const records = capRecords(UserCapHeader.version.get(view, 0));
  if (records > 0) return { records, pid };
  return writeU32(k, gva, LINUX_CAPABILITY_VERSION_3) ? -EINVAL : -EFAULT;
}

function capget(k: Kernel, task: Task, a: Args): number {
  const dataGva = a.u64(1);
  const header = readCapHeader(k, a.u64(0));
  // Linux: with an unknown version and no data it is a question about the version.
  if (typeof header === 'number') return header === -EINVAL && dataGva === 0 ? 0 : header;
  if (header.pid < 0) return -EINVAL;
  const process = header.pid === 0 ? task.process : findThread(k, header.pid)?.process ?? null;
  if (process === null) return -ESRCH;
  if (dataGva === 0) return 0;
  const raw = new Uint8Array(header.records * UserCapData.bytes);
  const view = new DataView(raw.buffer);
  for (let i = 0; i < header.records; i++) {
    const shift = BigInt(i * 32);
    const at = i * UserCapData.bytes;
    UserCapData.effective.set(view, at, Number(process.capEffective >> shift & 0xffff_ffffn));
    UserCapData.permitted.set(view, at, Number(process.capPermitted >> shift & 0xffff_ffffn));
    UserCapData.inheritable.set(view, at, Number(process.capInheritable >> shift & 0xffff_ffffn));
  }
  return copyOut(k, dataGva, raw) === raw.length ? 0 : -EFAULT;
}

function capset(k: Kernel, task: Task, a: Args): number {
  const header = readCapHeader(k, a.u64(0));
  if (typeof header === 'number') return header;
  const { process } = task;
  if (header.pid !== 0 && findTask(process, header.pid) === null) return -EPERM;
  const raw = new Uint8Array(2 * UserCapData.bytes);
  const bytes = header.records * UserCapData.bytes;
  if (copyIn(k, a.u64(1), raw.subarray(0, bytes)) !== bytes) return -EFAULT;
  const view = new DataView(raw.buffer);
  const effective = joinCaps(view, UserCapData.effective.offset);
  const permitted = joinCaps(view, UserCapData.permitted.offset);
  const inheritable = joinCaps(view, UserCapData.inheritable.offset);
  return applyCaps(process, effective, permitted, inheritable);
}

function joinCaps(view: DataView, offset: number): bigint {
  const low = BigInt(view.getUint32(offset, true));
  const high = BigInt(view.getUint32(UserCapData.bytes + offset, true));
  return (high << 32n | low) & ALL_CAPABILITIES;
}

/** Linux: cap_capset(). */
function applyCaps(p: Process, effective: bigint, permitted: bigint, inheritable: bigint): number {
  const inheritableMost = p.capInheritable |
    (isCapable(p, CAP_SETPCAP) ? ALL_CAPABILITIES : p.capPermitted);
  if ((inheritable & ~inheritableMost) !== 0n) return -EPERM;
  if ((inheritable & ~(p.capInheritable | p.capBounding)) !== 0n) return -EPERM;
  if ((permitted & ~p.capPermitted) !== 0n) return -EPERM;
  if ((effective & ~permitted) !== 0n) return -EPERM;
  p.capEffective = effective;
  p.capPermitted = permitted;
  p.capInheritable = inheritable;
  p.capAmbient &= permitted & inheritable;
  return 0;
}

export const identityCalls: Family = {
  getuid: full((_k, task) => task.process.realUid),
  geteuid: full((_k, task) => task.process.uid),
  getgid: full((_k, task) => task.process.realGid),
  getegid: full((_k, task) => task.process.gid),
  setuid: full((_k, task, a) => setId(USERS, task.process, a.u32(0))),
  setgid: full((_k, task, a) => setId(GROUPS, task.process, a.u32(0))),
  setreuid: full((_k, task, a) => setRealAndEffective(USERS, task.process, a.u32(0), a.u32(1))),
  setregid: full((_k, task, a) => setRealAndEffective(GROUPS, task.process, a.u32(0), a.u32(1))),
  setresuid: full((_k, task, a) => setAllIds(USERS, task.process, a)),
  setresgid: full((_k, task, a) => setAllIds(GROUPS, task.process, a)),
  getresuid: full((k, task, a) => writeIds(k, a, USERS.read(task.process))),
  getresgid: full((k, task, a) => writeIds(k, a, GROUPS.read(task.process))),
  setfsuid: full((_k, task, a) => setFsId(USERS, task.process, a.u32(0))),
  setfsgid: full((_k, task, a) => setFsId(GROUPS, task.process, a.u32(0))),
  getgroups: full(getgroups),
  setgroups: full(setgroups),
  capget: full(capget),
  capset: full(capset),
};
