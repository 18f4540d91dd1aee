// execve(2): replaces the program of the process. Everything that can fail with an errno happens in
// the new address space; only then does the old one go.
import type { Kernel } from '../kernel.ts';
import type { Mm } from '../records/mm.ts';
import type { Process, Task } from '../records/task.ts';
import { VMA_STACK } from '../records/mm.ts';
import { makeBytes } from '../state/containers.ts';
import { REG, setReg } from '../syscalls/args.ts';
import { destroyMm, makeMm, releaseMm } from '../mm/address-space.ts';
import { mapRegion } from '../mm/map.ts';
import { closeOnExec } from '../vfs/fd-table.ts';
import { dropDentry, holdDentry } from '../vfs/dentry.ts';
import { fillRandom } from './entropy.ts';
import { USER_END } from '../mm/user-memory.ts';
import { PAGE_BYTES } from '../ports.ts';
import {
  type Executable, type ExecRequest, findProgram, openExecutable, parse, type Program,
} from './exec-file.ts';
import { isSecureExec, resetIdentityForExec } from './exec-identity.ts';
import { mapImage, type MappedImage } from './exec-map.ts';
import { initialFpu, writeFpu } from './fpu.ts';
import { releaseRobustList } from './robust-list.ts';
import { letParentGo } from './zombie.ts';
import { checkStrings, writeStack } from './exec-stack.ts';
import { mapVdso } from '../vdso/map.ts';
import { resetActionsForExec } from '../signal/actions.ts';
import {
  MAP_ANONYMOUS, MAP_FIXED, MAP_GROWSDOWN, MAP_PRIVATE, PROT_EXEC, PROT_READ, PROT_WRITE,
} from '../../abi/mman.ts';
import { SIGCHLD } from '../../abi/signal.ts';
import { PF_X } from '../../../formats/elf.ts';
import {
  AT_BASE, AT_CLKTCK, AT_EGID, AT_ENTRY, AT_EUID, AT_FLAGS, AT_GID, AT_HWCAP, AT_HWCAP2,
  AT_MINSIGSTKSZ, AT_PAGESZ, AT_PHDR, AT_PHENT, AT_PHNUM, AT_SECURE, AT_SYSINFO_EHDR, AT_UID,
  HWCAP2_FSGSBASE,
} from '../../abi/auxv.ts';

/** Linux: ELF_ET_DYN_BASE, two thirds of the address space. */
const PIE_BASE = 0x5555_5555_4000;
const STACK_FIRST_BYTES = 132 * 1024;
/** Bits of randomness (pages): PIE base and mmap base 28, stack 22, brk 13. */
const RANDOM_BITS = { pie: 28, mmap: 28, stack: 22, brk: 13 } as const;
const MMAP_GAP_BYTES = 128 * 1024 * 1024;
const ELF_PHDR_BYTES = 56;
const TASK_NAME_BYTES = 15;
/** Bytes of a signal frame with the largest XSAVE area. */
const MINIMUM_SIGNAL_STACK = 3632;
const CLOCK_TICKS = 100;

/** A new program for `task`'s process; 0 or -errno. On success the registers are set. */
export function execProgram(
  k: Kernel,
  task: Task,
  request: ExecRequest,
): number {
  const { argv, env } = request;
  const tooBig = checkStrings(argv, env);
  if (tooBig < 0) return tooBig;
  const { process } = task;
  const program = findProgram(k, process, request);
  if (typeof program === 'number') return program;
  const interpreter = findInterpreter(k, process, program);
  if (typeof interpreter === 'number') return interpreter;
  const old = process.mm;
  const mm = makeMm(k);
  process.mm = mm;
  const failed = load(k, task, mm, program, interpreter, env);
  if (failed < 0) {
    destroyMm(k, mm);
    process.mm = old;
    return failed;
  }
  if (old !== null) leaveMemory(k, process, old);
  letParentGo(k, process);
  commit(k, task, program, env);
  return 0;
}

/** Linux: exec_mm_release() of each thread, then mmput(). */
function leaveMemory(k: Kernel, process: Process, old: Mm): void {
  const { mm, tasks } = process;
  process.mm = old;
  for (let i = 0; i < tasks.length; i++) {
    const task = tasks.get(i);
    if (task !== null) releaseRobustList(k, task);
  }
  process.mm = mm;
  releaseMm(k, old);
}

function findInterpreter(
  k: Kernel,
  process: Process,
  program: Program,
): Executable | null | number {
  const { interp } = program.image;
  return interp === undefined ? null : openExecutable(k, process, interp.path);
}

function load(
  k: Kernel,
  task: Task,
  mm: Mm,
  program: Program,
  interpreter: Executable | null,
  env: Uint8Array[],
): number {
  chooseLayout(k, mm);
  const stack = mapStack(k, mm, program);
  if (stack < 0) return stack;
  const main = mapImage(k, mm, program.file, program.image, preferredBase(k, program));
  if (typeof main === 'number') return main;
  let loader: MappedImage | null = null;
  if (interpreter !== null) {
    const image = parse(k, interpreter.inode, 'interpreter');
    if (typeof image === 'number') return image;
    const mapped = mapImage(k, mm, interpreter, image, 0);
    if (typeof mapped === 'number') return mapped;
    loader = mapped;
  }
  noteProgram(k, mm, main);
  const vdso = mapVdso(k, mm);
  if (vdso < 0) return vdso;
  const rsp = writeStack(k, mm, {
    argv: program.argv.length === 0 ? [new Uint8Array()] : program.argv,
    env,
    path: program.path,
    random: randomBytes(k, 16),
    auxv: auxiliary(task.process, program, main, loader, vdso),
  });
  if (rsp < 0) return rsp;
  startRegisters(task, (loader ?? main).entry, rsp);
  return 0;
}

function randomBytes(k: Kernel, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  fillRandom(k, bytes);
  return bytes;
}

/** A random multiple of a page, below 2^bits pages. */
function randomPages(k: Kernel, bits: number): number {
  const [a, b, c, d] = randomBytes(k, 4) as unknown as [number, number, number, number];
  const value = (a + b * 0x100 + c * 0x1_0000 + d * 0x100_0000) % 2 ** bits;
  return value * PAGE_BYTES;
}

function chooseLayout(k: Kernel, mm: Mm): void {
  mm.stackTop = USER_END - randomPages(k, RANDOM_BITS.stack);
  mm.mmapBase = mm.stackTop - MMAP_GAP_BYTES - randomPages(k, RANDOM_BITS.mmap);
}

function preferredBase(k: Kernel, program: Program): number {
  if (program.image.type === 'exec' || program.image.interp === undefined) return 0;
  return PIE_BASE + randomPages(k, RANDOM_BITS.pie);
}

function mapStack(k: Kernel, mm: Mm, program: Program): number {
  const execute = (program.image.stackFlags & PF_X) !== 0 ? PROT_EXEC : 0;
  return mapRegion(k, {
    gva: mm.stackTop - STACK_FIRST_BYTES,
    bytes: STACK_FIRST_BYTES,
    prot: PROT_READ | PROT_WRITE | execute,
    flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN,
    role: VMA_STACK,
  }, mm);
}

function noteProgram(k: Kernel, mm: Mm, main: MappedImage): void {
  mm.codeStart = main.codeStart;
  mm.codeEnd = main.codeEnd;
  mm.dataStart = main.dataStart;
  mm.dataEnd = main.dataEnd;
  const brk = Math.ceil(main.end / PAGE_BYTES) * PAGE_BYTES + randomPages(k, RANDOM_BITS.brk);
  mm.brkStart = brk;
  mm.brk = brk;
}

function auxiliary(
  process: Process,
  program: Program,
  main: MappedImage,
  loader: MappedImage | null,
  vdso: number,
): [number, number][] {
  return [
    [AT_SYSINFO_EHDR, vdso],
    [AT_MINSIGSTKSZ, MINIMUM_SIGNAL_STACK],
    [AT_HWCAP, 0x178b_fbff],
    [AT_PAGESZ, PAGE_BYTES],
    [AT_CLKTCK, CLOCK_TICKS],
    [AT_PHDR, main.phdrs],
    [AT_PHENT, ELF_PHDR_BYTES],
    [AT_PHNUM, program.image.phdrs.length],
    [AT_BASE, loader?.bias ?? 0],
    [AT_FLAGS, 0],
    [AT_ENTRY, main.entry],
    [AT_UID, process.realUid],
    [AT_EUID, process.uid],
    [AT_GID, process.realGid],
    [AT_EGID, process.gid],
    [AT_SECURE, isSecureExec(process) ? 1 : 0],
    [AT_HWCAP2, HWCAP2_FSGSBASE],
  ];
}

function startRegisters(task: Task, entry: number, rsp: number): void {
  task.regs = new Uint8Array();
  setReg(task, REG.rip, entry);
  setReg(task, REG.rsp, rsp);
  setReg(task, REG.rflags, 0x202);
  task.fsBase = 0;
  task.gsBase = 0;
}

/** The point of no return is behind: what execve resets in the process and the thread. */
function commit(k: Kernel, task: Task, program: Program, env: Uint8Array[]): void {
  const { process } = task;
  if (process.exe !== null) dropDentry(k, process.exe);
  process.exe = holdDentry(k, program.file.dentry);
  replaceStrings(k, process, 'cmdline', program.argv);
  replaceStrings(k, process, 'environ', env);
  task.name = program.name.subarray(0, TASK_NAME_BYTES);
  writeFpu(k, task, initialFpu(k.ports.fpu.bytes));
  task.clearChildTid = 0;
  task.robustList = 0;
  task.altStack = 0;
  task.altStackBytes = 0;
  process.childSignal = SIGCHLD;
  process.hasExeced = true;
  resetIdentityForExec(process);
  resetActionsForExec(process);
  closeOnExec(k, process);
}

function replaceStrings(
  k: Kernel,
  process: Process,
  which: 'cmdline' | 'environ',
  strings: Uint8Array[],
): void {
  const old = process[which];
  if (old !== null) k.arena.free(old);
  const joined = new Uint8Array(strings.reduce((sum, string) => sum + string.length + 1, 0));
  let at = 0;
  for (const string of strings) {
    joined.set(string, at);
    at += string.length + 1;
  }
  process[which] = makeBytes(k.arena, joined);
}

