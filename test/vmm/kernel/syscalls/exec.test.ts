// execve(2) from the guest: the order of its errors, arguments, scripts, other threads.
import { assert, suite } from '../../../harness.ts';
import { makeTestKernel } from '../../../helpers/kernel.ts';
import { lowerFile, type LowerTree } from '../../../helpers/lower-tree.ts';
import { Guest } from '../vfs/guest.ts';
import { errnoName } from '../../../../vmm/abi/errno.ts';
import { TASK_DEAD } from '../../../../vmm/kernel/records/task.ts';
import { argsOf, getReg, REG, setReg } from '../../../../vmm/kernel/syscalls/args.ts';
import { NO_RESULT } from '../../../../vmm/kernel/syscalls/define.ts';
import { execCalls } from '../../../../vmm/kernel/syscalls/exec.ts';

const test = suite('vmm/kernel/syscalls/exec');
const BAD = 0x10;
const ENTRY = 0x40_0078;

/** The smallest program: one segment with the headers and two bytes of code. */
function tinyElf(): Uint8Array {
  const bytes = new Uint8Array(0x7a);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(ENTRY), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setUint32(68, 5, true);
  view.setBigUint64(80, 0x40_0000n, true);
  view.setBigUint64(88, 0x40_0000n, true);
  view.setBigUint64(96, BigInt(bytes.length), true);
  view.setBigUint64(104, BigInt(bytes.length), true);
  view.setBigUint64(112, 4096n, true);
  bytes.set([0x0f, 0x05], 0x78);
  return bytes;
}

function makeGuest(): Guest {
  const bin: LowerTree = {
    tiny: lowerFile(tinyElf(), { mode: 0o100755 }),
    text: lowerFile('hello\n', { mode: 0o100755 }),
    plain: 'not executable',
    script: lowerFile('#!/bin/tiny -x\n', { mode: 0o100755 }),
  };
  return new Guest(makeTestKernel({ lower: { bin } }));
}

function pointers(...values: number[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values, BigInt).buffer);
}

function execve(g: Guest, path: string | number, argv: number, env: number): string | number {
  setReg(g.task, REG.rdi, typeof path === 'number' ? path : g.put(path));
  setReg(g.task, REG.rsi, argv);
  setReg(g.task, REG.rdx, env);
  const result = execCalls['execve']?.handler(g.k, g.task, argsOf(g.task)) ?? 0;
  return result < 0 && result !== NO_RESULT ? errnoName(-result) : result;
}

test('execve() checks the path before the strings', () => {
  const g = makeGuest();
  assert.is(execve(g, BAD, BAD, BAD), 'EFAULT');
  assert.is(execve(g, '', 0, 0), 'ENOENT');
  assert.is(execve(g, '/bin/none', BAD, BAD), 'ENOENT');
  assert.is(execve(g, '/bin/plain', BAD, BAD), 'EACCES');
  assert.is(execve(g, '/bin', 0, 0), 'EACCES');
  assert.is(execve(g, `/${'x'.repeat(5000)}`, 0, 0), 'ENAMETOOLONG');
  assert.is(execve(g, '/bin/tiny', BAD, 0), 'EFAULT');
  assert.is(execve(g, '/bin/tiny', g.put(pointers(BAD, 0)), 0), 'EFAULT');
  assert.is(execve(g, '/bin/tiny', 0, BAD), 'EFAULT');
  assert.is(execve(g, '/bin/text', 0, 0), 'ENOEXEC');
  g.t.close();
});

test('execve() says E2BIG for a long string and for many', () => {
  const g = makeGuest();
  const long = g.put('y'.repeat(128 * 1024));
  assert.is(execve(g, '/bin/tiny', g.put(pointers(long, 0)), 0), 'E2BIG');
  const half = g.put('z'.repeat(100_000));
  const many = g.put(pointers(...Array.from({ length: 30 }, () => half), 0));
  assert.is(execve(g, '/bin/tiny', 0, many), 'E2BIG');
  g.t.close();
});

test('execve() starts the program with its arguments', () => {
  const g = makeGuest();
  const argv = g.put(pointers(g.put('tiny'), g.put('one'), 0));
  const env = g.put(pointers(g.put('A=1'), 0));
  assert.is(execve(g, '/bin/tiny', argv, env), NO_RESULT);
  assert.is(getReg(g.task, REG.rip), ENTRY);
  assert.is(getReg(g.task, REG.rax), 0);
  const rsp = getReg(g.task, REG.rsp);
  assert.is(rsp % 16, 0);
  const stack = new BigUint64Array(g.peek(rsp, 48).slice().buffer);
  assert.is(stack[0], 2n);
  assert.bytes(g.peek(Number(stack[2]), 4), new TextEncoder().encode('one\0'));
  assert.is(stack[3], 0n);
  assert.bytes(g.peek(Number(stack[4]), 4), new TextEncoder().encode('A=1\0'));
  assert.bytes(g.peek(ENTRY, 2), Uint8Array.of(0x0f, 0x05));
  g.t.close();
});

test('execve() follows a script to its interpreter', () => {
  const g = makeGuest();
  const argv = g.put(pointers(g.put('ignored'), g.put('last'), 0));
  assert.is(execve(g, '/bin/script', argv, 0), NO_RESULT);
  const command = new TextDecoder().decode(g.process.cmdline?.data);
  assert.is(command.replace(/\0+$/, '').replaceAll('\0', ' '), '/bin/tiny -x /bin/script last');
  g.t.close();
});

test('execve() ends the other threads, and the caller becomes the main one', () => {
  const g = makeGuest();
  const main = g.task;
  const other = g.t.addTask();
  setReg(other, REG.rdi, g.put('/bin/tiny'));
  setReg(other, REG.rsi, 0);
  setReg(other, REG.rdx, 0);
  const result = execCalls['execve']?.handler(g.k, other, argsOf(other));
  assert.is(result, NO_RESULT);
  assert.is(main.state, TASK_DEAD);
  assert.is(g.process.tasks.length, 1);
  assert.is(g.process.tasks.get(0), other);
  assert.is(other.tid, g.process.pid);
  assert.not(g.process.exited);
  g.t.close();
});

test.run();
