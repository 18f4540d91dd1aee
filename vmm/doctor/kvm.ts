// Whether /dev/kvm can be used, and whether it can do what the machine needs.
// Order: only after koffi was found to load.
import { checkExtension, openKvm } from '../host/kvm.ts';
import { HostError } from '../host/errors.ts';
import * as libc from '../host/libc.ts';
import {
  KVM_API_VERSION, KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_NR_MEMSLOTS, KVM_CAP_READONLY_MEM,
  KVM_CAP_SYNC_MMU, KVM_CAP_SYNC_REGS, KVM_CAP_USER_MEMORY, KVM_CAP_XCRS, KVM_CAP_XSAVE,
  KVM_CAP_XSAVE2,
} from '../abi/kvm.ts';
import { type Check, makeChecks } from './check.ts';
import { findKvmKind } from './host.ts';

const check = makeChecks('kvm');

/** Registers and special registers travel through the run page. */
const SYNC_REGS_NEEDED = 3;

interface Capability {
  name: string;
  number: number;
  /** Bits that must be set, or 1 for "any". */
  bits: number;
  why: string;
}

const needed: readonly Capability[] = [
  { name: 'KVM_CAP_USER_MEMORY', number: KVM_CAP_USER_MEMORY, bits: 0, why: 'guest memory' },
  { name: 'KVM_CAP_SYNC_MMU', number: KVM_CAP_SYNC_MMU, bits: 0, why: 'pages that come and go' },
  {
    name: 'KVM_CAP_SYNC_REGS', number: KVM_CAP_SYNC_REGS, bits: SYNC_REGS_NEEDED,
    why: 'registers in the run page',
  },
  { name: 'KVM_CAP_READONLY_MEM', number: KVM_CAP_READONLY_MEM, bits: 0, why: 'shared images' },
  { name: 'KVM_CAP_XSAVE', number: KVM_CAP_XSAVE, bits: 0, why: 'vector registers' },
  { name: 'KVM_CAP_XCRS', number: KVM_CAP_XCRS, bits: 0, why: '--cpu' },
  { name: 'KVM_CAP_IMMEDIATE_EXIT', number: KVM_CAP_IMMEDIATE_EXIT, bits: 0, why: 'time slices' },
];
const SLOTS_NEEDED = 32;

/** The row for a capability that KVM answered with `value`. */
export function judgeCapability(capability: Capability, value: number): Check {
  const { name, bits, why } = capability;
  const good = value > 0 && (value & bits) === bits;
  if (good) return check(name, 'ok', String(value));
  const need = why.endsWith('s') ? 'need' : 'needs';
  const hint = `This KVM lacks what ${why} ${need}: use a newer kernel.`;
  return check(name, 'bad', String(value), hint);
}

function checkCapabilities(fd: number): Check[] {
  const rows = needed.map((capability) => {
    return judgeCapability(capability, checkExtension(fd, capability.number));
  });
  const slots = checkExtension(fd, KVM_CAP_NR_MEMSLOTS);
  rows.push(slots >= SLOTS_NEEDED
    ? check('memory slots', 'ok', String(slots))
    : check('memory slots', 'bad', String(slots), 'Use a newer kernel.'));
  const xsaveBytes = checkExtension(fd, KVM_CAP_XSAVE2);
  if (xsaveBytes > 0) rows.push(check('XSAVE bytes', 'info', String(xsaveBytes)));
  return rows;
}

/** The rows on KVM; only one, `bad`, when it cannot be opened. */
export function probeKvm(): Check[] {
  let fd: number;
  try {
    fd = openKvm();
  } catch (error) {
    if (!HostError.is(error)) throw error;
    return [check('/dev/kvm', 'bad', error.message, error.hint)];
  }
  try {
    const kind = findKvmKind();
    return [
      check('/dev/kvm', 'ok', 'can be opened'),
      check('API version', 'ok', String(KVM_API_VERSION)),
      check('kind', 'info', kind ?? 'unknown (built into the kernel?)'),
      ...checkCapabilities(fd),
    ];
  } finally {
    // SAFETY: the descriptor is ours and not used again.
    libc.close(fd);
  }
}
