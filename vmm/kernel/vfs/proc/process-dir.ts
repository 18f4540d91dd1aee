// /proc/<pid>, /proc/<pid>/task/<tid>: the directories, and the links out of them.
import { EACCES, ENOENT } from '../../../abi/errno.ts';
import { O_ACCMODE, O_CLOEXEC, O_RDONLY, O_WRONLY } from '../../../abi/fcntl.ts';
import { processOfPidFd } from '../../ipc/pidfd.ts';
import type { Kernel } from '../../kernel.ts';
import { type Dentry, type File, FILE_PIDFD } from '../../records/vfs.ts';
import { isCloseOnExec } from '../fd-table.ts';
import { inodeNumber } from '../inode-number.ts';
import { displayPath, fileName } from '../path-name.ts';
import {
  defineGenerator, type GeneratedEntry, type GeneratedRef, type Generator, type MagicTarget,
  staticDirectory,
} from './generated.ts';
import { GEN } from './ids.ts';
import { mountId } from './mounts.ts';
import {
  descriptorArgument, descriptorOf, procProcess, procTask, readingProcess,
} from './target-process.ts';

const COMMON: Readonly<Record<string, number>> = {
  auxv: GEN.auxv,
  cgroup: GEN.cgroup,
  cmdline: GEN.cmdline,
  comm: GEN.comm,
  coredump_filter: GEN.coredumpFilter,
  cpuset: GEN.cpuset,
  cwd: GEN.cwd,
  environ: GEN.environ,
  exe: GEN.exe,
  fd: GEN.fdDir,
  fdinfo: GEN.fdinfoDir,
  gid_map: GEN.gidMap,
  io: GEN.io,
  limits: GEN.limits,
  loginuid: GEN.loginuid,
  maps: GEN.maps,
  mountinfo: GEN.mountinfo,
  mounts: GEN.mounts,
  net: GEN.netDir,
  ns: GEN.nsDir,
  oom_score: GEN.oomScore,
  oom_score_adj: GEN.oomScoreAdj,
  personality: GEN.personality,
  projid_map: GEN.projidMap,
  root: GEN.root,
  schedstat: GEN.schedstat,
  sessionid: GEN.sessionid,
  setgroups: GEN.setgroups,
  smaps: GEN.smaps,
  smaps_rollup: GEN.smapsRollup,
  stat: GEN.stat,
  statm: GEN.statm,
  status: GEN.status,
  uid_map: GEN.uidMap,
  wchan: GEN.wchan,
};

function hasProcess(k: Kernel, pid: number): boolean {
  return procTask(k, pid) !== null;
}

defineGenerator(GEN.pidDir, {
  ...staticDirectory({ ...COMMON, task: GEN.taskDir, timerslack_ns: GEN.timerslack }),
  exists: hasProcess,
});
defineGenerator(GEN.tidDir, {
  ...staticDirectory({ ...COMMON, children: GEN.children }),
  exists: hasProcess,
});

/** A positive decimal number without leading zeroes, or -1. */
export function parseNumber(name: string): number {
  return /^(0|[1-9][0-9]{0,9})$/.test(name) ? Number(name) : -1;
}

defineGenerator(GEN.taskDir, {
  mode: 0o40555,
  child: (k, pid, name) => {
    const tid = parseNumber(name);
    const isThread = procTask(k, tid)?.tid === tid && procProcess(k, tid) === procProcess(k, pid);
    return isThread ? { generator: GEN.tidDir, argument: tid } : null;
  },
  list: (k, pid) => {
    const listed: GeneratedEntry[] = [];
    const tasks = procProcess(k, pid)?.tasks;
    for (let index = 0; tasks !== undefined && index < tasks.length; index++) {
      const tid = tasks.get(index)?.tid;
      if (tid === undefined) continue;
      listed.push({ name: String(tid), generator: GEN.tidDir, argument: tid });
    }
    return listed;
  },
});

/** @param argument see descriptorArgument() */
function fileAt(k: Kernel, argument: number): File | null {
  const { pid, fd } = descriptorOf(argument);
  return procProcess(k, pid)?.fds.slots.get(fd) ?? null;
}

/** /proc/<pid>/fd and fdinfo: one child for each descriptor. */
function descriptorDirectory(mode: number, generator: number): Generator {
  const child = (k: Kernel, pid: number, name: string): GeneratedRef | null => {
    const fd = parseNumber(name);
    if (fd < 0 || fd >= k.limits.descriptors) return null;
    const argument = descriptorArgument(pid, fd);
    return fileAt(k, argument) === null ? null : { generator, argument };
  };
  const list = (k: Kernel, pid: number): GeneratedEntry[] => {
    const listed: GeneratedEntry[] = [];
    const slots = procProcess(k, pid)?.fds.slots;
    for (let fd = 0; slots !== undefined && fd < slots.length; fd++) {
      if (slots.get(fd) === null) continue;
      listed.push({ name: String(fd), generator, argument: descriptorArgument(pid, fd) });
    }
    return listed;
  };
  return { mode, child, list };
}

defineGenerator(GEN.fdDir, descriptorDirectory(0o40500, GEN.fdLink));
defineGenerator(GEN.fdinfoDir, descriptorDirectory(0o40555, GEN.fdinfo));

function hasDescriptor(k: Kernel, argument: number): boolean {
  return fileAt(k, argument) !== null;
}

defineGenerator(GEN.fdLink, {
  mode: 0o120700,
  bytes: 64,
  exists: hasDescriptor,
  link: (k, argument) => {
    const process = readingProcess(k);
    const file = fileAt(k, argument);
    return process === null || file === null ? -ENOENT : fileName(k, process, file);
  },
  target: (k, argument) => {
    const file = fileAt(k, argument);
    return file === null ? -ENOENT : { dentry: file.dentry, file };
  },
});

/** Permissions of /proc/<pid>/fd/N: what the descriptor may do. */
export function descriptorMode(k: Kernel, argument: number): number {
  const file = fileAt(k, argument);
  if (file === null) return 0o120000;
  const access = file.flags & O_ACCMODE;
  return 0o120100 | (access !== O_WRONLY ? 0o400 : 0) | (access !== O_RDONLY ? 0o200 : 0);
}

defineGenerator(GEN.fdinfo, {
  mode: 0o100444,
  exists: hasDescriptor,
  text: (k, argument) => {
    const file = fileAt(k, argument);
    const { pid, fd } = descriptorOf(argument);
    const fds = procProcess(k, pid)?.fds;
    if (file === null || fds === undefined) return -ENOENT;
    const flags = file.flags | (isCloseOnExec(fds, fd) ? O_CLOEXEC : 0);
    const position = Math.max(file.position, 0);
    const ino = file.inode === null ? 0 : inodeNumber(file.inode);
    const mount = file.inode === null ? 20 : mountId(file.inode, file.dentry);
    return `pos:\t${position}\nflags:\t0${flags.toString(8)}\nmnt_id:\t${mount}\nino:\t${ino}\n` +
      pidLines(k, file);
  },
});

/** Name, kind and number of each namespace: those that a machine starts with. */
const NAMESPACES: readonly (readonly [name: string, kind: string, number: number])[] = [
  ['cgroup', 'cgroup', 0xeffffffb], ['ipc', 'ipc', 0xefffffff], ['mnt', 'mnt', 0xf0000000],
  ['net', 'net', 0xf0000001], ['pid', 'pid', 0xeffffffc], ['pid_for_children', 'pid', 0xeffffffc],
  ['time', 'time', 0xeffffffa], ['time_for_children', 'time', 0xeffffffa],
  ['user', 'user', 0xeffffffd], ['uts', 'uts', 0xeffffffe],
];

/** The argument of a link is minus its place in the list: all processes have the same. */
defineGenerator(GEN.nsDir, {
  mode: 0o40511,
  child: (_k, _pid, name) => {
    const index = NAMESPACES.findIndex(([known]) => known === name);
    return index < 0 ? null : { generator: GEN.nsLink, argument: -index };
  },
  list: () => NAMESPACES.map(([name], index) =>
    ({ name, generator: GEN.nsLink, argument: -index })),
});

defineGenerator(GEN.nsLink, {
  mode: 0o120777,
  link: (_k, argument) => {
    const found = NAMESPACES[-argument];
    return found === undefined ? -ENOENT : `${found[1]}:[${found[2]}]`;
  },
});

/** Of a pidfd: the process it means, -1 when that is gone. */
function pidLines(k: Kernel, file: File): string {
  if (file.kind !== FILE_PIDFD) return '';
  const pid = processOfPidFd(k, file)?.pid ?? -1;
  return `Pid:\t${pid}\nNSpid:\t${pid}\n`;
}

/** A link to a place in the tree: exe, cwd, root. */
function placeLink(which: 'exe' | 'cwd' | 'root'): Generator {
  const find = (k: Kernel, pid: number): Dentry | null => {
    const process = procProcess(k, pid);
    return process === null || process.exited ? null : process[which];
  };
  return {
    mode: 0o120777,
    link: (k, pid) => {
      const process = readingProcess(k);
      const dentry = find(k, pid);
      return process === null || dentry === null ? -ENOENT : displayPath(process, dentry);
    },
    target: (k, pid): MagicTarget | number => {
      const dentry = find(k, pid);
      return dentry === null ? -ENOENT : { dentry, file: null };
    },
  };
}

defineGenerator(GEN.exe, placeLink('exe'));
defineGenerator(GEN.cwd, placeLink('cwd'));
defineGenerator(GEN.root, placeLink('root'));

defineGenerator(GEN.self, {
  mode: 0o120777,
  link: (k) => String(readingProcess(k)?.pid ?? -EACCES),
});
defineGenerator(GEN.threadSelf, {
  mode: 0o120777,
  link: (k) => {
    const pid = readingProcess(k)?.pid ?? 0;
    return `${pid}/task/${k.current?.tid ?? pid}`;
  },
});
