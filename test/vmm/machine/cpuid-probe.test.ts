// CPUID as guests see it: asked at CPL 3, and not disturbed by signals of the time-slice timer.
import { assert, needsKvm, suite } from '../../harness.ts';
import { kvmSignalMask, setSliceInterval } from '../../../vmm/host/slice-timer.ts';
import { giveRegion, takeRegion, u8 } from '../../../vmm/kernel/state/memory.ts';
import { readGuestCpuid } from '../../../vmm/machine/cpuid-probe.ts';
import { TABLE_WINDOW_BYTES } from '../../../vmm/machine/layout.ts';
import { Machine } from '../../../vmm/machine/machine.ts';

const test = suite('vmm/machine/cpuid-probe');
const testKvm = needsKvm(test);

testKvm('readGuestCpuid() gives the same leaves while time slices end', () => {
  const window = takeRegion(TABLE_WINDOW_BYTES);
  const machine = new Machine({
    bankBytes: 4 << 20,
    baseBytes: 0,
    baseline: 'host',
    tables: { bytes: u8.subarray(window.address, window.address + window.bytes) },
  });
  machine.vcpu.setSignalMask(kvmSignalMask());
  try {
    const wanted = [{ leaf: 7, subleaf: 0 }, { leaf: 0x8000_0001, subleaf: 0 }];
    const first = readGuestCpuid(machine, wanted);
    assert.ok(first.every(({ edx }) => edx !== 0), 'every x86-64 CPU has bits there');
    setSliceInterval(1);
    for (let i = 0; i < 20; i++) {
      const until = performance.now() + 2;
      while (performance.now() < until);
      assert.equal(readGuestCpuid(machine, wanted), first);
    }
  } finally {
    setSliceInterval(0);
    machine.close();
    giveRegion(window);
  }
});

test.run();
