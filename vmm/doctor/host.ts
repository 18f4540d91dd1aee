// What of the host's settings matters: limits, memory, virtualisation. Read from /proc and /sys.
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { type Check, makeChecks } from './check.ts';

const check = makeChecks('host');

/** Few mappings suffice for one sandbox; a process with 128 of them needs thousands. */
const MAP_COUNT_LOW = 65_530;
const FILES_LOW = 1024;

/** The text of a file of /proc or /sys, trimmed; undefined when it cannot be read. */
export function readSetting(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** The soft and hard limit of a row of /proc/self/limits. */
export function findLimit(
  limits: string, name: string,
): { soft: number; hard: number } | undefined {
  const row = limits.split('\n').find((line) => line.startsWith(`${name} `));
  const parts = row?.slice(name.length).trim().split(/\s+/) ?? [];
  const [soft, hard] = parts.slice(0, 2).map((text) => {
    return text === 'unlimited' ? Infinity : Number(text);
  });
  if (soft === undefined || hard === undefined || Number.isNaN(soft + hard)) return undefined;
  return { soft, hard };
}

function checkMapCount(): Check {
  const text = readSetting('/proc/sys/vm/max_map_count');
  const count = Number(text);
  if (text === undefined) return check('vm.max_map_count', 'info', 'unknown');
  if (count >= MAP_COUNT_LOW) return check('vm.max_map_count', 'ok', text);
  return check('vm.max_map_count', 'warn', text, `sysctl vm.max_map_count=${MAP_COUNT_LOW}`);
}

function formatLimit(limit: number): string {
  return Number.isFinite(limit) ? String(limit) : 'unlimited';
}

function checkLimits(): Check[] {
  const limits = readSetting('/proc/self/limits') ?? '';
  const files = findLimit(limits, 'Max open files');
  const locked = findLimit(limits, 'Max locked memory');
  const space = findLimit(limits, 'Max address space');
  const rows: Check[] = [];
  if (files !== undefined) {
    const value = `${formatLimit(files.soft)} (at most ${formatLimit(files.hard)})`;
    const low = files.soft < FILES_LOW;
    const hint = low ? `ulimit -n ${FILES_LOW} before the start.` : '';
    rows.push(check('open files', low ? 'warn' : 'ok', value, hint));
  }
  if (locked !== undefined) {
    rows.push(check('locked memory', 'info', `${formatLimit(locked.soft)} bytes`));
  }
  if (space !== undefined && Number.isFinite(space.soft)) {
    rows.push(check('address space', 'warn', `${space.soft} bytes`,
      'Guests reserve address space: ulimit -v unlimited.'));
  }
  return rows;
}

function checkMemory(): Check[] {
  const rows: Check[] = [];
  const huge = readSetting('/sys/kernel/mm/transparent_hugepage/enabled');
  const chosen = /\[(\w+)\]/.exec(huge ?? '')?.[1];
  rows.push(check('transparent huge pages', 'info', chosen ?? 'none'));
  const reserved = /^HugePages_Total:\s+(\d+)/m.exec(readSetting('/proc/meminfo') ?? '')?.[1];
  if (reserved !== undefined) rows.push(check('reserved huge pages', 'info', reserved));
  const overcommit = readSetting('/proc/sys/vm/overcommit_memory');
  if (overcommit === '2') {
    rows.push(check('vm.overcommit_memory', 'warn', '2 (never)',
      'Guests reserve memory that they do not use: sysctl vm.overcommit_memory=0.'));
  }
  return rows;
}

/** The memory limit of this process's cgroup, version 2. */
function checkCgroup(): Check[] {
  const path = /^0::(.*)$/m.exec(readSetting('/proc/self/cgroup') ?? '')?.[1];
  if (path === undefined) return [check('cgroup', 'info', 'version 1 or none')];
  const limit = readSetting(`/sys/fs/cgroup${path}/memory.max`);
  const value = limit === undefined || limit === 'max' ? 'no memory limit' : `${limit} bytes`;
  return [check('cgroup', 'info', `${path}: ${value}`)];
}

function checkSeccomp(): Check[] {
  const mode = /^Seccomp:\s+(\d)/m.exec(readSetting('/proc/self/status') ?? '')?.[1];
  if (mode === undefined) return [];
  const names = ['off', 'strict', 'filter'];
  return [check('seccomp', 'info', names[Number(mode)] ?? mode)];
}

/** The kernel's way of running VMs: the module of kvm that is loaded. */
export function findKvmKind(): 'VMX' | 'SVM' | 'PVM' | undefined {
  if (existsSync('/sys/module/kvm_intel')) return 'VMX';
  if (existsSync('/sys/module/kvm_amd')) return 'SVM';
  if (existsSync('/sys/module/kvm_pvm')) return 'PVM';
  return undefined;
}

function checkNested(): Check {
  const flags = /^flags\s*:(.*)$/m.exec(readSetting('/proc/cpuinfo') ?? '')?.[1]?.split(' ') ?? [];
  if (!flags.includes('hypervisor')) return check('nested', 'ok', 'no: this is bare metal');
  return check('nested', 'info', 'yes: this host is a virtual machine, exits are slower');
}

/** Huge-page splitting for a CPU bug makes KVM_CREATE_VM start a thread, which takes long. */
function checkNxHugePages(): Check[] {
  const value = readSetting('/sys/module/kvm/parameters/nx_huge_pages');
  if (value === undefined) return [];
  const isOn = value === 'Y' || value === '1';
  // Whether that costs anything here is measured (speed: new VM).
  return [check('kvm.nx_huge_pages', 'info', isOn ? 'on' : 'off')];
}

/** The rows on the host. */
export function probeHost(): Check[] {
  return [
    check('kernel', 'info', release()), checkNested(), ...checkNxHugePages(), checkMapCount(),
    ...checkLimits(), ...checkMemory(), ...checkCgroup(), ...checkSeccomp(),
  ];
}
