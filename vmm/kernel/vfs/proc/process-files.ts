// The smaller files of /proc/<pid>: comm, cmdline, environ, limits, cgroup, and constants.
import { EINVAL } from '../../../abi/errno.ts';
import type { Kernel } from '../../kernel.ts';
import type { Process } from '../../records/task.ts';
import { forEachChild } from '../../task/family.ts';
import { hardLimit, softLimit } from '../../task/limits.ts';
import { defineGenerator } from './generated.ts';
import { GEN } from './ids.ts';
import { procProcess, procTask, textOf } from './target-process.ts';

const NO_BYTES: Uint8Array = new Uint8Array();
const COMM_BYTES_MOST = 15;

defineGenerator(GEN.comm, {
  mode: 0o100644,
  text: (k, tid) => {
    const task = procTask(k, tid);
    return task === null ? '' : `${textOf(task.name)}\n`;
  },
  write: (k, tid, data) => {
    const task = procTask(k, tid);
    if (task === null) return -EINVAL;
    const newline = data.indexOf(0x0a);
    const name = newline < 0 ? data : data.subarray(0, newline);
    task.name = name.subarray(0, COMM_BYTES_MOST);
    return 0;
  },
});

/** A process that still has its memory; a zombie's strings are gone. */
function ofLiving(k: Kernel, pid: number): Process | null {
  const process = procProcess(k, pid);
  return process?.mm == null ? null : process;
}

defineGenerator(GEN.cmdline, {
  mode: 0o100444,
  text: (k, pid) => ofLiving(k, pid)?.cmdline?.data.slice() ?? NO_BYTES,
});
defineGenerator(GEN.environ, {
  mode: 0o100400,
  text: (k, pid) => ofLiving(k, pid)?.environ?.data.slice() ?? NO_BYTES,
});
defineGenerator(GEN.auxv, { mode: 0o100400, text: () => NO_BYTES });

/** Name, RLIMIT_* number, unit, in Linux's order. */
const LIMITS: readonly (readonly [name: string, resource: number, unit: string])[] = [
  ['Max cpu time', 0, 'seconds'],
  ['Max file size', 1, 'bytes'],
  ['Max data size', 2, 'bytes'],
  ['Max stack size', 3, 'bytes'],
  ['Max core file size', 4, 'bytes'],
  ['Max resident set', 5, 'bytes'],
  ['Max processes', 6, 'processes'],
  ['Max open files', 7, 'files'],
  ['Max locked memory', 8, 'bytes'],
  ['Max address space', 9, 'bytes'],
  ['Max file locks', 10, 'locks'],
  ['Max pending signals', 11, 'signals'],
  ['Max msgqueue size', 12, 'bytes'],
  ['Max nice priority', 13, ''],
  ['Max realtime priority', 14, ''],
  ['Max realtime timeout', 15, 'us'],
];

function limitText(value: number): string {
  return Number.isFinite(value) ? String(value) : 'unlimited';
}

function limitLine(name: string, soft: string, hard: string, unit: string): string {
  const last = unit === '' ? '' : unit.padEnd(10);
  return `${name.padEnd(25)} ${soft.padEnd(20)} ${hard.padEnd(20)} ${last}\n`;
}

defineGenerator(GEN.limits, {
  mode: 0o100444,
  text: (k, pid) => {
    const process = procProcess(k, pid);
    if (process === null) return '';
    const lines = LIMITS.map(([name, resource, unit]) => {
      const soft = limitText(softLimit(process, resource));
      return limitLine(name, soft, limitText(hardLimit(process, resource)), unit);
    });
    return limitLine('Limit', 'Soft Limit', 'Hard Limit', 'Units') + lines.join('');
  },
});

/** A file that always says the same; writes are taken and change nothing. */
function constant(id: number, mode: number, text: string): void {
  const isWritable = (mode & 0o200) !== 0;
  defineGenerator(id, isWritable
    ? { mode, text: () => text, write: () => 0 }
    : { mode, text: () => text });
}

constant(GEN.oomScore, 0o100444, '0\n');
constant(GEN.oomScoreAdj, 0o100644, '0\n');
constant(GEN.cgroup, 0o100444, '0::/\n');
constant(GEN.loginuid, 0o100644, '4294967295');
constant(GEN.coredumpFilter, 0o100644, '00000033\n');
constant(GEN.cpuset, 0o100444, '/\n');
constant(GEN.sessionid, 0o100444, '4294967295');
constant(GEN.projidMap, 0o100644, '         0          0 4294967295\n');
constant(GEN.uidMap, 0o100644, '         0          0 4294967295\n');
constant(GEN.gidMap, 0o100644, '         0          0 4294967295\n');
constant(GEN.setgroups, 0o100644, 'allow\n');
constant(GEN.wchan, 0o100444, '0');
constant(GEN.io, 0o100400, [
  'rchar', 'wchar', 'syscr', 'syscw', 'read_bytes', 'write_bytes', 'cancelled_write_bytes',
].map((name) => `${name}: 0\n`).join(''));

defineGenerator(GEN.personality, {
  mode: 0o100400,
  text: (k, pid) => `${(procProcess(k, pid)?.personality ?? 0).toString(16).padStart(8, '0')}\n`,
});


defineGenerator(GEN.schedstat, {
  mode: 0o100444,
  text: (k, pid) => `${Math.floor(procProcess(k, pid)?.cpuNs ?? 0)} 0 0\n`,
});

defineGenerator(GEN.timerslack, {
  mode: 0o100666,
  text: (k, tid) => `${procTask(k, tid)?.timerSlackNs ?? 0}\n`,
});

/** Children of the process of a main thread; its other threads have none here. */
defineGenerator(GEN.children, {
  mode: 0o100444,
  text: (k, tid) => {
    const process = procProcess(k, tid);
    const pids: number[] = [];
    if (process !== null && process.pid === tid) {
      forEachChild(process, (child) => { if (!child.isGone) pids.push(child.pid); });
    }
    return pids.reverse().map((pid) => `${pid} `).join('');
  },
});
