// /sys: one CPU, no huge pages; otherwise empty.
import { type ConstantRow, directoryWith } from './constants.ts';
import { defineGenerator, staticDirectory } from './generated.ts';
import { GEN } from './ids.ts';

const FILE_BYTES = 4096;

defineGenerator(GEN.sysfsRoot, staticDirectory({
  block: GEN.sysfsEmptyDir,
  bus: GEN.sysfsEmptyDir,
  class: GEN.sysfsEmptyDir,
  dev: GEN.sysfsDev,
  devices: GEN.sysfsDevices,
  fs: GEN.sysfsFs,
  kernel: GEN.sysfsKernel,
}));
defineGenerator(GEN.sysfsEmptyDir, staticDirectory({}));
defineGenerator(GEN.sysfsFs, staticDirectory({ cgroup: GEN.sysfsEmptyDir }));
defineGenerator(GEN.sysfsDevices, staticDirectory({ system: GEN.sysfsDevicesSystem }));
defineGenerator(GEN.sysfsDev, staticDirectory({
  block: GEN.sysfsEmptyDir, char: GEN.sysfsEmptyDir,
}));
defineGenerator(GEN.sysfsDevicesSystem, staticDirectory({
  clocksource: GEN.sysfsClocksourceDir, cpu: GEN.sysfsCpuDir, node: GEN.sysfsNodeDir,
}));
defineGenerator(GEN.sysfsClocksourceDir, staticDirectory({
  clocksource0: GEN.sysfsClocksource0Dir,
}));
defineGenerator(GEN.sysfsClocksource0Dir, directoryWith({}, GEN.sysfsConstant, [
  [200, 'available_clocksource', 'tsc \n'],
  [201, 'current_clocksource', 'tsc\n'],
]));
defineGenerator(GEN.sysfsNodeDir, directoryWith({ node0: GEN.sysfsNode0Dir }, GEN.sysfsConstant, [
  [210, 'has_cpu', '0\n'],
  [211, 'has_memory', '0\n'],
  [212, 'has_normal_memory', '0\n'],
  [213, 'online', '0\n'],
  [214, 'possible', '0\n'],
]));
defineGenerator(GEN.sysfsNode0Dir, directoryWith({
  cpu0: GEN.sysfsCpu0Dir, meminfo: GEN.sysfsNode0Meminfo,
}, GEN.sysfsConstant, [
  [220, 'cpulist', '0\n'],
  [221, 'cpumap', '1\n'],
  [222, 'distance', '10\n'],
]));
defineGenerator(GEN.sysfsNode0Meminfo, {
  mode: 0o100444,
  bytes: FILE_BYTES,
  text: (k) => {
    const total = Math.floor(k.limits.memoryBytes / 1024);
    const used = Math.min(k.frames.used * 4, total);
    return [['MemTotal', total], ['MemFree', total - used], ['MemUsed', used]].map(
      ([name, kib]) => `Node 0 ${`${name}:`.padEnd(16)}${String(kib).padStart(8)} kB\n`).join('');
  },
});
defineGenerator(GEN.sysfsCpuDir, directoryWith({
  cpu0: GEN.sysfsCpu0Dir,
  online: GEN.sysfsOnline,
  possible: GEN.sysfsPossible,
  present: GEN.sysfsPresent,
}, GEN.sysfsConstant, [
  [230, 'isolated', '\n'],
  [231, 'kernel_max', '0\n'],
  [232, 'offline', '\n'],
]));
defineGenerator(GEN.sysfsCpu0Dir, staticDirectory({
  online: GEN.sysfsCpu0Online, topology: GEN.sysfsTopology,
}));
const ONE_CPU = ['core_cpus', 'core_siblings', 'die_cpus', 'package_cpus', 'thread_siblings'];
defineGenerator(GEN.sysfsTopology, directoryWith({}, GEN.sysfsConstant, [
  ...ONE_CPU.flatMap((name, index): ConstantRow[] => [
    [240 + 2 * index, name, '1\n'], [241 + 2 * index, `${name}_list`, '0\n'],
  ]),
  [250, 'core_id', '0\n'],
  [251, 'die_id', '0\n'],
  [252, 'physical_package_id', '0\n'],
]));
defineGenerator(GEN.sysfsKernel, staticDirectory({ mm: GEN.sysfsMm }));
defineGenerator(GEN.sysfsMm, staticDirectory({
  hugepages: GEN.sysfsEmptyDir, transparent_hugepage: GEN.sysfsThp,
}));
defineGenerator(GEN.sysfsThp, directoryWith({ enabled: GEN.sysfsThpEnabled }, GEN.sysfsConstant, [
  [260, 'defrag', 'always defer defer+madvise [madvise] never\n'],
  [261, 'hpage_pmd_size', '2097152\n'],
  [262, 'shmem_enabled', 'always within_size advise [never] deny force\n'],
]));

function constant(id: number, text: string): void {
  defineGenerator(id, { mode: 0o100444, bytes: FILE_BYTES, text: () => text });
}

constant(GEN.sysfsOnline, '0\n');
constant(GEN.sysfsPossible, '0\n');
constant(GEN.sysfsPresent, '0\n');
constant(GEN.sysfsCpu0Online, '1\n');
constant(GEN.sysfsThpEnabled, 'always madvise [never]\n');
