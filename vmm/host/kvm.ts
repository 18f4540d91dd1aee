// /dev/kvm: opening it, asking what it can do, making VMs and vCPUs. Thin: one function per ioctl
// that the machine uses, each failure a HostError that names the ioctl.
import * as libc from './libc.ts';
import { HostError, MORE_FILES } from './errors.ts';
import { mapAnonymous, type NativeRange } from './memory.ts';
import {
  KVM_API_VERSION, KVM_CHECK_EXTENSION, KVM_CREATE_VCPU, KVM_CREATE_VM, KVM_GET_API_VERSION,
  KVM_GET_SUPPORTED_CPUID, KVM_GET_VCPU_MMAP_SIZE, KVM_SET_USER_MEMORY_REGION,
  KvmUserspaceMemoryRegion,
} from '../abi/kvm.ts';
import {
  ENOENT, EACCES, EMFILE, ENFILE, EPERM, EBUSY, ENODEV, ENXIO,
} from '../abi/errno.ts';
import { giveScratch, takeScratch } from './scratch.ts';

const O_RDWR_CLOEXEC = 0o2000002;
const CPUID_ENTRIES_MAX = 256;
const CPUID_ENTRY_BYTES = 40;

/** An ioctl that must succeed. `argument` as in libc.ioctl. */
export function mustIoctl(fd: number, request: number, argument: number, name: string): number {
  // SAFETY: callers pass a value, or the address of scratch memory they own.
  const result = libc.ioctl(fd, request, argument);
  if (result >= 0) return result;
  const errno = libc.lastErrno();
  throw new HostError('CATAVMM_KVM_FAILED', `KVM refused ${name} (errno ${errno})`, {
    errno,
    call: name,
    hint: errno === EMFILE || errno === ENFILE
      ? MORE_FILES : 'Run `catavmm doctor` to see what this host supports.',
  });
}

/** Opens /dev/kvm and checks its API version. @throws HostError with a hint on how to get it */
export function openKvm(): number {
  // SAFETY: a constant path.
  const fd = libc.open('/dev/kvm', O_RDWR_CLOEXEC);
  if (fd < 0) throw unavailable(libc.lastErrno());
  try {
    const version = mustIoctl(fd, KVM_GET_API_VERSION, 0, 'KVM_GET_API_VERSION');
    if (version === KVM_API_VERSION) return fd;
    throw new HostError('CATAVMM_KVM_UNSUPPORTED', `KVM speaks API version ${version}, not 12`);
  } catch (error) {
    // SAFETY: the descriptor is ours and nobody has it.
    libc.close(fd);
    throw error;
  }
}

function unavailable(errno: number): HostError {
  const hints: Record<number, string> = {
    [ENOENT]: 'Load the kvm module (modprobe kvm_intel or kvm_amd) ' +
      'or turn on (nested) virtualisation.',
    [EACCES]: 'Add your user to the group that owns /dev/kvm: ' +
      'sudo usermod -aG kvm $USER, then log in again.',
    [EPERM]: 'Give the container the device: docker run --device /dev/kvm …',
    [EBUSY]: 'Another hypervisor holds the CPU\'s virtualisation extensions; stop it.',
    [ENODEV]: 'Turn on virtualisation in the firmware, or nested virtualisation in the outer host.',
    [ENXIO]: 'Load the kvm module (modprobe kvm_intel or kvm_amd).',
  };
  return new HostError('CATAVMM_KVM_UNAVAILABLE', `/dev/kvm cannot be opened (errno ${errno})`, {
    errno,
    call: 'open',
    hint: hints[errno] ?? 'Run `catavmm doctor`.',
  });
}

/** KVM_CHECK_EXTENSION: 0 when the capability is missing. */
export function checkExtension(kvmFd: number, capability: number): number {
  return mustIoctl(kvmFd, KVM_CHECK_EXTENSION, capability, 'KVM_CHECK_EXTENSION');
}

/** KVM_CREATE_VM; returns the VM's descriptor. */
export function createVm(kvmFd: number): number {
  return mustIoctl(kvmFd, KVM_CREATE_VM, 0, 'KVM_CREATE_VM');
}

/** KVM_CREATE_VCPU; returns the vCPU's descriptor. */
export function createVcpu(vmFd: number, index: number): number {
  return mustIoctl(vmFd, KVM_CREATE_VCPU, index, 'KVM_CREATE_VCPU');
}

/** Bytes of a vCPU's struct kvm_run mapping. */
export function vcpuMapBytes(kvmFd: number): number {
  return mustIoctl(kvmFd, KVM_GET_VCPU_MMAP_SIZE, 0, 'KVM_GET_VCPU_MMAP_SIZE');
}

/** A guest-physical range and the host memory behind it. */
export interface MemorySlot {
  slot: number;
  flags: number;
  gpa: number;
  bytes: number;
  hva: number;
}

/** KVM_SET_USER_MEMORY_REGION. Ownership: the caller keeps the memory mapped while the VM lives. */
export function setMemoryRegion(vmFd: number, memory: MemorySlot): void {
  const piece = takeScratch(KvmUserspaceMemoryRegion.bytes);
  KvmUserspaceMemoryRegion.slot.set(piece.view, 0, memory.slot);
  KvmUserspaceMemoryRegion.flags.set(piece.view, 0, memory.flags);
  KvmUserspaceMemoryRegion.guest_phys_addr.set(piece.view, 0, memory.gpa);
  KvmUserspaceMemoryRegion.memory_size.set(piece.view, 0, memory.bytes);
  KvmUserspaceMemoryRegion.userspace_addr.set(piece.view, 0, memory.hva);
  try {
    mustIoctl(vmFd, KVM_SET_USER_MEMORY_REGION, piece.address, 'KVM_SET_USER_MEMORY_REGION');
  } finally {
    giveScratch(piece);
  }
}

/**
 * struct kvm_cpuid2 as KVM_GET_SUPPORTED_CPUID fills it: native memory, kept for KVM_SET_CPUID2.
 */
export interface CpuidTable {
  readonly memory: NativeRange;
  readonly view: DataView;
  readonly count: number;
}

/** What CPUID can show to guests here. Ownership: lives as long as the thread. */
export function supportedCpuid(kvmFd: number): CpuidTable {
  const memory = mapAnonymous(4 * 4096);
  // SAFETY: the mapping was made above, is as long as the view and is never unmapped.
  const view = new DataView(libc.viewNative(memory.address, memory.bytes));
  view.setUint32(0, CPUID_ENTRIES_MAX, true);
  mustIoctl(kvmFd, KVM_GET_SUPPORTED_CPUID, memory.address, 'KVM_GET_SUPPORTED_CPUID');
  const count = view.getUint32(0, true);
  if (8 + count * CPUID_ENTRY_BYTES > memory.bytes) throw new RangeError(`${count} CPUID entries`);
  return { memory, view, count };
}
