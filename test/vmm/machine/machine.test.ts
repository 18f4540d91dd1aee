// The machine on real KVM: exits, exceptions, time slices, forged exits, stale translations.
import { assert, needsKvm, suite } from '../../harness.ts';
import {
  countDescriptors, countGuestMappings, listFreeDescriptors, withDescriptorLimit,
} from '../../helpers/process-holdings.ts';
import { CODE, DATA, withBench } from '../../helpers/machine-bench.ts';
import { HostError } from '../../../vmm/host/errors.ts';
import * as libc from '../../../vmm/host/libc.ts';
import { createVm } from '../../../vmm/host/kvm.ts';
import { giveScratch, takeScratch } from '../../../vmm/host/scratch.ts';
import { giveRegion, takeRegion, u8 } from '../../../vmm/kernel/state/memory.ts';
import { kvmHandle, Machine } from '../../../vmm/machine/machine.ts';
import { makeVcpu } from '../../../vmm/machine/vcpu.ts';
import { BANK_GPA, TABLE_WINDOW_BYTES } from '../../../vmm/machine/layout.ts';
import {
  classifyExit, EXIT_EXCEPTION, EXIT_FORGED, EXIT_SYSCALL, readException,
} from '../../../vmm/machine/exits.ts';
import { StaleTranslations } from '../../../vmm/machine/translations.ts';
import { eatSliceSignal, kvmSignalMask, setSliceInterval } from '../../../vmm/host/slice-timer.ts';
import { EINTR } from '../../../vmm/abi/errno.ts';

const test = suite('vmm/machine');
const testKvm = needsKvm(test);

const PAGE = 4096;
const RAX = 0;
const RDI = 10;

testKvm('a system call leaves with its number in rax and the return address in rcx', () => {
  withBench(({ machine, run, reg }) => {
    assert.is(run([0xb8, 39, 0, 0, 0, 0x0f, 0x05]), 0);
    assert.is(classifyExit(machine.vcpu), EXIT_SYSCALL);
    assert.is(reg(RAX), 39);
    assert.is(reg(4), CODE + 7);
  });
});

testKvm('exceptions arrive with vector, error code and address', () => {
  withBench(({ machine, run }) => {
    const cases: [string, number[], number, number][] = [
      ['#DE', [0x31, 0xc9, 0xf7, 0xf1], 0, 2],
      ['#UD', [0x0f, 0x0b], 6, 0],
      ['#GP (hlt)', [0xf4], 13, 0],
      ['#PF read', [0x8a, 0x04, 0x25, 0, 0, 0x50, 0], 14, 0],
    ];
    for (const [name, code, vector, skip] of cases) {
      assert.is(run(code), 0, name);
      assert.is(classifyExit(machine.vcpu), EXIT_EXCEPTION, name);
      const frame = readException(machine.vcpu, machine.tables);
      assert.is(frame.vector, vector, name);
      assert.is(frame.fromUser, true, name);
      assert.is(frame.rip, CODE + skip, name);
    }
    assert.is(machine.vcpu.cr2, 0x50_0000);
  });
});

testKvm('#BP is raised by int3, behind the instruction', () => {
  withBench(({ machine, run }) => {
    assert.is(run([0xcc]), 0);
    const frame = readException(machine.vcpu, machine.tables);
    assert.is(frame.vector, 3);
    assert.is(frame.rip, CODE + 1);
  });
});

testKvm('a guest that writes to a port itself is not believed', () => {
  withBench(({ machine, run }) => {
    for (const port of [0x10, 0x2e, 0x80]) {
      assert.is(run([0xe7, port]), 0);
      const exit = classifyExit(machine.vcpu);
      const isGp = exit === EXIT_EXCEPTION &&
        readException(machine.vcpu, machine.tables).vector === 13;
      assert.ok(exit === EXIT_FORGED || isGp, `port ${port}: exit ${exit}`);
    }
  });
});

testKvm('a guest cannot read the kernel half', () => {
  withBench(({ machine, run }) => {
    // mov rax, [0xffffffff80000000]
    run([0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0x80]);
    assert.is(classifyExit(machine.vcpu), EXIT_EXCEPTION);
    assert.is(readException(machine.vcpu, machine.tables).vector, 14);
  });
});

testKvm('a spinning guest comes back at the end of its time slice', () => {
  withBench(({ run }) => {
    setSliceInterval(2);
    try {
      for (let i = 0; i < 10; i++) {
        assert.is(run([0xeb, 0xfe]), EINTR);
        assert.ok(eatSliceSignal());
      }
    } finally {
      setSliceInterval(0);
    }
  });
});

testKvm('a present entry changed by the VMM is seen after StaleTranslations.flush()', () => {
  withBench(({ machine, run, reg, setLeaf }) => {
    const stale = new StaleTranslations(machine);
    const load = [0x48, 0x8b, 0x07, 0x0f, 0x05];
    machine.bankView[2 * PAGE] = 0xaa;
    machine.bankView[3 * PAGE] = 0xbb;
    for (let i = 0; i < 20; i++) {
      const frame = 2 + (i & 1);
      setLeaf(DATA, frame, 7n | (1n << 63n));
      stale.add(BigInt(BANK_GPA + (5 - frame) * PAGE) | 0x67n);
      stale.flush();
      run(load, { [RDI]: DATA });
      assert.is(reg(RAX), frame === 2 ? 0xaa : 0xbb, `round ${i}`);
    }
    setLeaf(DATA, 0, 0n);
    stale.add(BigInt(BANK_GPA + 3 * PAGE) | 0x67n);
    stale.flush();
    run(load, { [RDI]: DATA });
    assert.is(classifyExit(machine.vcpu), EXIT_EXCEPTION);
  });
});

testKvm('ensureBacked() adds slots so that later bank frames can be used', () => {
  withBench(({ machine, run, reg, setLeaf }) => {
    const frame = (40 << 20) / PAGE;
    machine.ensureBacked((frame + 1) * PAGE);
    machine.bankView[frame * PAGE] = 0x5c;
    setLeaf(DATA, frame, 7n | (1n << 63n));
    run([0x48, 0x8b, 0x07, 0x0f, 0x05], { [RDI]: DATA });
    assert.is(reg(RAX), 0x5c);
    assert.throws(() => machine.ensureBacked(65 << 20), /no more bytes/);
  });
});

/** Makes `make` fail again and again; the process must not hold more than before. */
function assertLeavesNothing(what: string, make: () => unknown): void {
  const scratchAddress = (): number => {
    const piece = takeScratch(1024);
    giveScratch(piece);
    return piece.address;
  };
  assert.throws(make, HostError, what);
  const before = [countDescriptors(), countGuestMappings(), scratchAddress()] as const;
  for (let round = 0; round < 50; round++) assert.throws(make, HostError, what);
  assert.is(countDescriptors(), before[0], `descriptors: ${what}`);
  assert.ok(countGuestMappings() <= before[1] + 2, `mappings: ${what}`);
  assert.is(scratchAddress(), before[2], `scratch memory: ${what}`);
}

testKvm('Machine leaves nothing behind when the host refuses a part of it', () => {
  const window = takeRegion(TABLE_WINDOW_BYTES + PAGE);
  const make = (options: { off?: number; baseBytes?: number }): void => {
    const from = window.address + (options.off ?? 0);
    new Machine({
      bankBytes: 64 << 20,
      baseBytes: options.baseBytes ?? 0,
      baseline: 'host',
      tables: { bytes: u8.subarray(from, from + TABLE_WINDOW_BYTES) },
    }).close();
  };
  make({});
  assertLeavesNothing('the base window', () => make({ baseBytes: 2 ** 46 }));
  assertLeavesNothing('a slot', () => make({ off: 8 }));
  const [first, second] = listFreeDescriptors(2) as [number, number];
  assertLeavesNothing('the VM', () => withDescriptorLimit(first, () => make({})));
  assertLeavesNothing('the vCPU', () => withDescriptorLimit(second, () => make({})));
  make({});
  giveRegion(window);
});

testKvm('makeVcpu() leaves nothing behind when KVM refuses what it sets', () => {
  const { fd, runBytes, cpuid } = kvmHandle();
  const good = { runBytes, cpuidAddress: cpuid.memory.address, xcr0: 1, cr3: 0 };
  const fails = (what: string, change: object): void => assertLeavesNothing(what, () => {
    const vmFd = createVm(fd);
    try {
      makeVcpu(vmFd, { ...good, ...change }).close();
    } finally {
      // SAFETY: a descriptor of ours. Deno's closeSync() knows only those that it has opened.
      libc.close(vmFd);
    }
  });
  fails('its run page', { runBytes: 2 ** 47 });
  fails('CPUID', { cpuidAddress: 8 });
  fails('XCR0', { xcr0: 2 });
});

test.run();
