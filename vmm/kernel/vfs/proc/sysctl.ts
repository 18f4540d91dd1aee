// /proc/sys: the settings that programs ask for.
import {
  INOTIFY_EVENTS_MOST, INOTIFY_INSTANCES_MOST, INOTIFY_WATCHES_MOST, MAX_MAP_COUNT, MMAP_MIN_ADDR,
  NR_OPEN, PIPE_MAX_BYTES,
} from '../../../abi/limits.ts';
import type { Kernel } from '../../kernel.ts';
import { KERNEL_RELEASE, KERNEL_VERSION } from '../../syscalls/system.ts';
import { fillRandom } from '../../task/entropy.ts';
import { PID_MAX } from '../../task/make-process.ts';
import { directoryWith } from './constants.ts';
import { defineGenerator, staticDirectory } from './generated.ts';
import { GEN } from './ids.ts';
import { textOf } from './target-process.ts';

defineGenerator(GEN.sysDir, staticDirectory({
  fs: GEN.sysFsDir, kernel: GEN.sysKernelDir, net: GEN.sysNetDir, vm: GEN.sysVmDir,
}));
defineGenerator(GEN.sysKernelDir, directoryWith({
  cap_last_cap: GEN.capLastCap,
  domainname: GEN.domainname,
  hostname: GEN.hostname,
  ngroups_max: GEN.ngroupsMax,
  osrelease: GEN.osrelease,
  ostype: GEN.ostype,
  pid_max: GEN.pidMax,
  random: GEN.sysKernelRandomDir,
  randomize_va_space: GEN.randomizeVaSpace,
  'threads-max': GEN.threadsMax,
  version: GEN.kernelVersion,
  yama: GEN.sysYamaDir,
}, GEN.setting, [
  [50, 'core_pattern', 'core\n'],
  [51, 'core_uses_pid', '0\n'],
  [52, 'dmesg_restrict', '1\n'],
  [53, 'kptr_restrict', '1\n'],
  [54, 'msgmax', '8192\n'],
  [55, 'msgmnb', '16384\n'],
  [56, 'msgmni', '32000\n'],
  [57, 'panic', '0\n'],
  [58, 'perf_event_paranoid', '3\n'],
  [59, 'printk', '7\t4\t1\t7\n'],
  [60, 'sem', '32000\t1024000000\t500\t32000\n'],
  [61, 'shmall', '18446744073692774399\n'],
  [62, 'shmmax', '18446744073692774399\n'],
  [63, 'shmmni', '4096\n'],
  [64, 'sysrq', '0\n'],
  [65, 'tainted', '0\n'],
]));
defineGenerator(GEN.sysYamaDir, directoryWith({}, GEN.setting, [[70, 'ptrace_scope', '1\n']]));
defineGenerator(GEN.sysKernelRandomDir, staticDirectory({
  boot_id: GEN.bootId, entropy_avail: GEN.entropyAvail, poolsize: GEN.poolsize, uuid: GEN.uuid,
}));
defineGenerator(GEN.sysVmDir, directoryWith({
  max_map_count: GEN.maxMapCount,
  mmap_min_addr: GEN.mmapMinAddr,
  overcommit_memory: GEN.overcommitMemory,
  overcommit_ratio: GEN.overcommitRatio,
}, GEN.setting, [
  [80, 'dirty_background_ratio', '10\n'],
  [81, 'dirty_ratio', '20\n'],
  [82, 'min_free_kbytes', '4096\n'],
  [83, 'nr_hugepages', '0\n'],
  [84, 'overcommit_kbytes', '0\n'],
  [85, 'swappiness', '60\n'],
  [86, 'vfs_cache_pressure', '100\n'],
  [87, 'zone_reclaim_mode', '0\n'],
]));
defineGenerator(GEN.sysFsDir, directoryWith({
  epoll: GEN.sysFsEpollDir,
  'file-max': GEN.fileMax,
  inotify: GEN.sysFsInotifyDir,
  nr_open: GEN.nrOpen,
  'pipe-max-size': GEN.pipeMaxSize,
}, GEN.setting, [
  [90, 'aio-max-nr', '65536\n'],
  [91, 'aio-nr', '0\n'],
  [92, 'file-nr', '0\t0\t9223372036854775807\n'],
  [93, 'lease-break-time', '45\n'],
  [94, 'protected_hardlinks', '1\n'],
  [95, 'protected_symlinks', '1\n'],
  [96, 'suid_dumpable', '0\n'],
]));
defineGenerator(GEN.sysFsEpollDir, directoryWith({}, GEN.setting, [
  [100, 'max_user_watches', '65536\n'],
]));
defineGenerator(GEN.sysFsInotifyDir, staticDirectory({
  max_queued_events: GEN.inotifyEvents,
  max_user_instances: GEN.inotifyInstances,
  max_user_watches: GEN.inotifyWatches,
}));
defineGenerator(GEN.sysNetDir, staticDirectory({
  core: GEN.sysNetCoreDir, ipv4: GEN.sysIpv4Dir,
}));
defineGenerator(GEN.sysNetCoreDir, directoryWith({ somaxconn: GEN.somaxconn }, GEN.setting, [
  [110, 'rmem_default', '212992\n'],
  [111, 'rmem_max', '212992\n'],
  [112, 'wmem_default', '212992\n'],
  [113, 'wmem_max', '212992\n'],
]));
defineGenerator(GEN.sysIpv4Dir, directoryWith({}, GEN.setting, [
  [120, 'ip_local_port_range', '32768\t60999\n'],
  [121, 'ip_unprivileged_port_start', '1024\n'],
  [122, 'tcp_fin_timeout', '60\n'],
  [123, 'tcp_keepalive_intvl', '75\n'],
  [124, 'tcp_keepalive_probes', '9\n'],
  [125, 'tcp_keepalive_time', '7200\n'],
  [126, 'tcp_max_syn_backlog', '512\n'],
]));

/** A setting as one line. */
function setting(
  id: number,
  text: string | ((k: Kernel) => string),
  mode: number = 0o100644,
): void {
  defineGenerator(id, { mode, text: (k) => `${typeof text === 'string' ? text : text(k)}\n` });
}

/** 16 bytes as a version 4 UUID. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = [...bytes].map((byte, index) => {
    const value = index === 6 ? (byte & 0x0f) | 0x40 : index === 8 ? (byte & 0x3f) | 0x80 : byte;
    return value.toString(16).padStart(2, '0');
  }).join('');
  return [
    hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20),
  ].join('-');
}

function randomUuid(k: Kernel): string {
  const bytes = new Uint8Array(16);
  fillRandom(k, bytes);
  return formatUuid(bytes);
}

setting(GEN.uuid, randomUuid, 0o100444);
setting(GEN.bootId, (k) => formatUuid(k.root.bootId), 0o100444);
setting(GEN.entropyAvail, '256', 0o100444);
setting(GEN.poolsize, '256', 0o100444);
setting(GEN.osrelease, () => KERNEL_RELEASE, 0o100444);
setting(GEN.ostype, 'Linux', 0o100444);
setting(GEN.kernelVersion, () => KERNEL_VERSION, 0o100444);
setting(GEN.hostname, (k) => textOf(k.root.hostname));
setting(GEN.domainname, (k) => textOf(k.root.domainname));
setting(GEN.pidMax, () => String(PID_MAX));
setting(GEN.threadsMax, (k) => String(k.limits.threads));
setting(GEN.ngroupsMax, '65536', 0o100444);
setting(GEN.capLastCap, '40', 0o100444);
setting(GEN.randomizeVaSpace, '2');
setting(GEN.overcommitMemory, '0');
setting(GEN.overcommitRatio, '50');
setting(GEN.maxMapCount, String(MAX_MAP_COUNT));
setting(GEN.mmapMinAddr, String(MMAP_MIN_ADDR));
setting(GEN.fileMax, '9223372036854775807');
setting(GEN.nrOpen, String(NR_OPEN));
setting(GEN.pipeMaxSize, String(PIPE_MAX_BYTES));
setting(GEN.somaxconn, '4096');
setting(GEN.inotifyEvents, String(INOTIFY_EVENTS_MOST));
setting(GEN.inotifyInstances, String(INOTIFY_INSTANCES_MOST));
setting(GEN.inotifyWatches, String(INOTIFY_WATCHES_MOST));
