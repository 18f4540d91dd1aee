// What VMs and exits cost here: the two numbers that decide how fast sandboxes are.
// Order: only after /dev/kvm was found to be good.
import { HostError } from '../host/errors.ts';
import { createVm } from '../host/kvm.ts';
import * as libc from '../host/libc.ts';
import { kvmHandle } from '../machine/machine.ts';
import { type Check, makeChecks } from './check.ts';
import { TinyGuest } from './tiny-guest.ts';

const check = makeChecks('speed');

const vmsMade = 5;
const warmUps = 100;
const exitsMeasured = 2000;
/** Above these something is wrong that can be mended. */
const newVmSlowUs = 7_000;
const exitSlowUs = 100;

export interface Speed {
  newVmUs: number;
  newMachineUs: number;
  exitUs: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = NaN, high = NaN] = sorted.slice(Math.max(0, middle - 1), middle + 1);
  return sorted.length % 2 === 0 ? (low + high) / 2 : sorted[middle] ?? NaN;
}

/** Microseconds since performance.now() gave `startMs`. */
function since(startMs: number): number {
  return (performance.now() - startMs) * 1000;
}

function measureNewVm(): number {
  const { fd } = kvmHandle();
  return median(Array.from({ length: vmsMade }, () => {
    const startMs = performance.now();
    const vm = createVm(fd);
    const us = since(startMs);
    // SAFETY: the descriptor was made here and nothing else has it.
    libc.close(vm);
    return us;
  }));
}

/** Measures all three. @throws HostError when the guest does not do what it must */
export function measureSpeed(): Speed {
  const newVmUs = measureNewVm();
  const startMs = performance.now();
  const guest = new TinyGuest();
  const newMachineUs = since(startMs);
  try {
    const times: number[] = [];
    for (let index = 0; index < warmUps + exitsMeasured; index++) {
      const beforeMs = performance.now();
      if (!guest.step()) {
        throw new HostError('CATAVMM_KVM_UNSUPPORTED', 'a system call did not reach the kernel', {
          hint: 'This KVM does not run the guest as catavmm needs it; please report what it is.',
        });
      }
      if (index >= warmUps) times.push(since(beforeMs));
    }
    return { newVmUs, newMachineUs, exitUs: median(times) };
  } finally {
    guest.close();
  }
}

/** The rows for a measurement. */
export function judgeSpeed({ newVmUs, newMachineUs, exitUs }: Speed): Check[] {
  const slowVm = newVmUs > newVmSlowUs;
  const vmHint = slowVm
    ? 'Turn off kvm.nx_huge_pages (kvm.nx_huge_pages=never), or mount the cgroup hierarchy with ' +
      'favordynmods.'
    : '';
  const slowExit = exitUs > exitSlowUs;
  const exitHint = slowExit
    ? 'This is nested virtualisation: prefer a host closer to the metal.'
    : '';
  return [
    check('new VM', slowVm ? 'warn' : 'ok', `${newVmUs.toFixed(0)} µs`, vmHint),
    check('new machine', 'info', `${newMachineUs.toFixed(0)} µs`),
    check('exit and back', slowExit ? 'warn' : 'ok', `${exitUs.toFixed(1)} µs`, exitHint),
  ];
}

/** The rows on speed. */
export function probeSpeed(): Check[] {
  try {
    return judgeSpeed(measureSpeed());
  } catch (error) {
    if (!HostError.is(error)) throw error;
    return [check('tiny guest', 'bad', error.message, error.hint)];
  }
}
