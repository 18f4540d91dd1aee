// /sys: one CPU, no huge pages; otherwise empty.
import { defineGenerator, staticDirectory } from './generated.ts';
import { GEN } from './ids.ts';

const FILE_BYTES = 4096;

defineGenerator(GEN.sysfsRoot, staticDirectory({
  block: GEN.sysfsEmptyDir,
  bus: GEN.sysfsEmptyDir,
  class: GEN.sysfsEmptyDir,
  devices: GEN.sysfsDevices,
  fs: GEN.sysfsFs,
  kernel: GEN.sysfsKernel,
}));
defineGenerator(GEN.sysfsEmptyDir, staticDirectory({}));
defineGenerator(GEN.sysfsFs, staticDirectory({ cgroup: GEN.sysfsEmptyDir }));
defineGenerator(GEN.sysfsDevices, staticDirectory({ system: GEN.sysfsDevicesSystem }));
defineGenerator(GEN.sysfsDevicesSystem, staticDirectory({ cpu: GEN.sysfsCpuDir }));
defineGenerator(GEN.sysfsCpuDir, staticDirectory({
  cpu0: GEN.sysfsCpu0Dir,
  online: GEN.sysfsOnline,
  possible: GEN.sysfsPossible,
  present: GEN.sysfsPresent,
}));
defineGenerator(GEN.sysfsCpu0Dir, staticDirectory({ online: GEN.sysfsCpu0Online }));
defineGenerator(GEN.sysfsKernel, staticDirectory({ mm: GEN.sysfsMm }));
defineGenerator(GEN.sysfsMm, staticDirectory({ transparent_hugepage: GEN.sysfsThp }));
defineGenerator(GEN.sysfsThp, staticDirectory({ enabled: GEN.sysfsThpEnabled }));

function constant(id: number, text: string): void {
  defineGenerator(id, { mode: 0o100444, bytes: FILE_BYTES, text: () => text });
}

constant(GEN.sysfsOnline, '0\n');
constant(GEN.sysfsPossible, '0\n');
constant(GEN.sysfsPresent, '0\n');
constant(GEN.sysfsCpu0Online, '1\n');
constant(GEN.sysfsThpEnabled, 'always madvise [never]\n');
