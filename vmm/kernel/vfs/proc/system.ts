// The files of /proc about the machine: one CPU, the sandbox's memory limit, its time.
import type { Kernel } from '../../kernel.ts';
import { KERNEL_RELEASE, KERNEL_VERSION } from '../../syscalls/system.ts';
import { nowNs, realtime } from '../../time/clock.ts';
import { countThreads } from '../../task/family.ts';
import { directoryWith } from './constants.ts';
import { defineGenerator, type GeneratedEntry } from './generated.ts';
import { GEN } from './ids.ts';
import { parseNumber } from './process-dir.ts';
import { cpuNsOfAll, procProcesses, procTask } from './target-process.ts';

const TOP: Readonly<Record<string, number>> = {
  cmdline: GEN.systemCmdline,
  cpuinfo: GEN.cpuinfo,
  filesystems: GEN.filesystems,
  loadavg: GEN.loadavg,
  meminfo: GEN.meminfo,
  mounts: GEN.mountsLink,
  net: GEN.netLink,
  self: GEN.self,
  stat: GEN.systemStat,
  sys: GEN.sysDir,
  'thread-self': GEN.threadSelf,
  uptime: GEN.uptime,
  version: GEN.version,
};

/** Lines of /proc/softirqs. */
const SOFTIRQS = [
  'HI', 'TIMER', 'NET_TX', 'NET_RX', 'BLOCK', 'IRQ_POLL', 'TASKLET', 'SCHED', 'HRTIMER', 'RCU',
].map((name) => `${`${name}:`.padStart(12)}          0\n`).join('');
/** Counters of /proc/vmstat that programs ask for. */
const VMSTAT = [
  'pgpgin', 'pgpgout', 'pswpin', 'pswpout', 'pgalloc_normal', 'pgfree', 'pgactivate',
  'pgdeactivate', 'pgfault', 'pgmajfault', 'pgscan_kswapd', 'pgscan_direct', 'pgsteal_kswapd',
  'pgsteal_direct', 'oom_kill',
].map((name) => `${name} 0\n`).join('');

/** What the machine has none of. */
const top = directoryWith(TOP, GEN.constant, [
  [20, 'buddyinfo', 'Node 0, zone   Normal      0      0      0      0      0\n'],
  [21, 'cgroups', '#subsys_name\thierarchy\tnum_cgroups\tenabled\n'],
  [22, 'devices', 'Character devices:\n  1 mem\n  5 /dev/tty\n\nBlock devices:\n'],
  [23, 'diskstats', ''],
  [24, 'interrupts', '           CPU0       \n'],
  [25, 'locks', ''],
  [26, 'misc', ''],
  [27, 'modules', ''],
  [28, 'partitions', 'major minor  #blocks  name\n\n'],
  [29, 'softirqs', `                    CPU0       \n${SOFTIRQS}`],
  [30, 'swaps', 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n'],
  [31, 'vmstat', VMSTAT],
  [32, 'zoneinfo', ''],
]);

defineGenerator(GEN.procRoot, {
  mode: 0o40555,
  child: (k, _argument, name) => {
    const known = top.child?.(k, 0, name) ?? null;
    if (known !== null) return known;
    const pid = parseNumber(name);
    const task = pid > 0 ? procTask(k, pid) : null;
    return task === null ? null : { generator: GEN.pidDir, argument: pid };
  },
  list: (k) => {
    const processes = procProcesses(k).map(({ pid }): GeneratedEntry =>
      ({ name: String(pid), generator: GEN.pidDir, argument: pid }));
    return [...top.list?.(k, 0) ?? [], ...processes];
  },
});

defineGenerator(GEN.mountsLink, { mode: 0o120777, link: () => 'self/mounts' });

const MINIMAL_CPU = [
  'processor\t: 0', 'vendor_id\t: unknown', 'cpu family\t: 6', 'model\t\t: 0',
  'model name\t: unknown', 'stepping\t: 0', 'cpu MHz\t\t: 1000.000', 'cache size\t: 1024 KB',
  'physical id\t: 0', 'siblings\t: 1', 'core id\t\t: 0', 'cpu cores\t: 1', 'apicid\t\t: 0',
  'initial apicid\t: 0', 'fpu\t\t: yes', 'fpu_exception\t: yes', 'cpuid level\t: 13', 'wp\t\t: yes',
  'flags\t\t: fpu tsc msr cx8 cmov mmx fxsr sse sse2 syscall nx lm', 'bugs\t\t:',
  'bogomips\t: 2000.00', 'clflush size\t: 64', 'cache_alignment\t: 64',
  'address sizes\t: 46 bits physical, 48 bits virtual', 'power management:', '', '',
].join('\n');

defineGenerator(GEN.cpuinfo, {
  mode: 0o100444,
  text: (k) => {
    const text = k.ports.cpuInfo?.() ?? '';
    return text === '' ? MINIMAL_CPU : text;
  },
});

function meminfo(k: Kernel): string {
  const total = Math.floor(k.limits.memoryBytes / 1024);
  const used = Math.min(k.frames.used * 4, total);
  const free = total - used;
  const rows: [string, number][] = [
    ['MemTotal', total], ['MemFree', free], ['MemAvailable', free], ['Buffers', 0], ['Cached', 0],
    ['SwapCached', 0], ['Active', used], ['Inactive', 0], ['Active(anon)', used],
    ['Inactive(anon)', 0], ['Active(file)', 0], ['Inactive(file)', 0], ['Unevictable', 0],
    ['Mlocked', 0], ['SwapTotal', 0], ['SwapFree', 0], ['Dirty', 0], ['Writeback', 0],
    ['AnonPages', used], ['Mapped', 0], ['Shmem', 0], ['KReclaimable', 0], ['Slab', 0],
    ['SReclaimable', 0], ['SUnreclaim', 0], ['KernelStack', 0], ['PageTables', 0],
    ['NFS_Unstable', 0], ['Bounce', 0], ['WritebackTmp', 0], ['CommitLimit', total],
    ['Committed_AS', used], ['VmallocTotal', 34359738367], ['VmallocUsed', 0],
    ['VmallocChunk', 0], ['AnonHugePages', 0], ['ShmemHugePages', 0], ['ShmemPmdMapped', 0],
  ];
  const lines = rows.map(([name, kib]) => {
    return `${`${name}:`.padEnd(16)}${String(kib).padStart(8)} kB\n`;
  });
  return `${lines.join('')}HugePages_Total:       0\nHugePages_Free:        0\n` +
    'HugePages_Rsvd:        0\nHugePages_Surp:        0\nHugepagesize:       2048 kB\n' +
    'Hugetlb:               0 kB\n';
}

defineGenerator(GEN.meminfo, { mode: 0o100444, text: meminfo });

function bootTimeSec(k: Kernel): number {
  return realtime(k).sec - Math.floor(nowNs(k) / 1e9);
}

defineGenerator(GEN.systemStat, {
  mode: 0o100444,
  text: (k) => {
    const user = Math.floor(cpuNsOfAll(k) / 1e7);
    const idle = Math.max(Math.floor(nowNs(k) / 1e7) - user, 0);
    const times = `${user} 0 0 ${idle} 0 0 0 0 0 0`;
    return `cpu  ${times}\ncpu0 ${times}\nintr 0\nctxt 0\nbtime ${bootTimeSec(k)}\n` +
      `processes ${k.root.nextTid - 1}\n` +
      'procs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n';
  },
});

defineGenerator(GEN.uptime, {
  mode: 0o100444,
  text: (k) => {
    const up = nowNs(k) / 1e9;
    const idle = Math.max(up - cpuNsOfAll(k) / 1e9, 0);
    return `${up.toFixed(2)} ${idle.toFixed(2)}\n`;
  },
});

defineGenerator(GEN.loadavg, {
  mode: 0o100444,
  text: (k) => {
    const threads = countThreads(k);
    return `0.00 0.00 0.00 1/${threads} ${k.root.nextTid - 1}\n`;
  },
});

defineGenerator(GEN.version, {
  mode: 0o100444,
  text: () => `Linux version ${KERNEL_RELEASE} (catavmm) ${KERNEL_VERSION}\n`,
});

defineGenerator(GEN.systemCmdline, { mode: 0o100444, text: () => '\n' });

defineGenerator(GEN.filesystems, {
  mode: 0o100444,
  text: () => ['sysfs', 'tmpfs', 'proc', 'sockfs', 'pipefs', 'overlay']
    .map((name) => `nodev\t${name}\n`).join(''),
});
