// /proc/sys: the settings that programs ask for.
import { MAX_MAP_COUNT, MMAP_MIN_ADDR, NR_OPEN, PIPE_MAX_BYTES } from '../../../abi/limits.ts';
import { INOTIFY_INSTANCES_MOST, INOTIFY_WATCHES_MOST } from '../../ipc/inotify.ts';
import { INOTIFY_EVENTS_MOST } from '../../ipc/inotify-queue.ts';
import type { Kernel } from '../../kernel.ts';
import { KERNEL_RELEASE, KERNEL_VERSION } from '../../syscalls/system.ts';
import { fillRandom } from '../../task/entropy.ts';
import { PID_MAX } from '../../task/make-process.ts';
import { defineGenerator, staticDirectory } from './generated.ts';
import { GEN } from './ids.ts';
import { textOf } from './target-process.ts';

defineGenerator(GEN.sysDir, staticDirectory({
  fs: GEN.sysFsDir, kernel: GEN.sysKernelDir, net: GEN.sysNetDir, vm: GEN.sysVmDir,
}));
defineGenerator(GEN.sysKernelDir, staticDirectory({
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
}));
defineGenerator(GEN.sysKernelRandomDir, staticDirectory({
  boot_id: GEN.bootId, entropy_avail: GEN.entropyAvail, poolsize: GEN.poolsize, uuid: GEN.uuid,
}));
defineGenerator(GEN.sysVmDir, staticDirectory({
  max_map_count: GEN.maxMapCount,
  mmap_min_addr: GEN.mmapMinAddr,
  overcommit_memory: GEN.overcommitMemory,
  overcommit_ratio: GEN.overcommitRatio,
}));
defineGenerator(GEN.sysFsDir, staticDirectory({
  'file-max': GEN.fileMax,
  inotify: GEN.sysFsInotifyDir,
  nr_open: GEN.nrOpen,
  'pipe-max-size': GEN.pipeMaxSize,
}));
defineGenerator(GEN.sysFsInotifyDir, staticDirectory({
  max_queued_events: GEN.inotifyEvents,
  max_user_instances: GEN.inotifyInstances,
  max_user_watches: GEN.inotifyWatches,
}));
defineGenerator(GEN.sysNetDir, staticDirectory({ core: GEN.sysNetCoreDir }));
defineGenerator(GEN.sysNetCoreDir, staticDirectory({ somaxconn: GEN.somaxconn }));

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
