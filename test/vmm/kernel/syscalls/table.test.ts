// The joined table: every call has a row, and mistakes in the families are found at load.
import { assert, suite } from '../../../harness.ts';
import { makeTestKernel } from '../../../helpers/kernel.ts';
import { CATAVMM_BASE, CATAVMM_NUMBERS } from '../../../../vmm/abi/catavmm.ts';
import { ENOSYS, errnoName } from '../../../../vmm/abi/errno.ts';
import { NR_SYSCALLS, SYSCALL_NUMBERS } from '../../../../vmm/abi/syscall-numbers.ts';
import { absentCalls } from '../../../../vmm/kernel/syscalls/absent.ts';
import { argsOf } from '../../../../vmm/kernel/syscalls/args.ts';
import { full, missing, partial } from '../../../../vmm/kernel/syscalls/define.ts';
import { SIGNATURES } from '../../../../vmm/kernel/syscalls/names.ts';
import { hasTemplateRule } from '../../../../vmm/kernel/syscalls/template-classes.ts';
import {
  describeSyscalls, SyscallTable, syscallTable,
} from '../../../../vmm/kernel/syscalls/table.ts';

const test = suite('vmm/kernel/syscalls/table');
const answer = (): number => 7;
const MLOCK = 149;
const MLOCKALL = 151;

test('SYSCALL_NUMBERS has no number twice and ends at NR_SYSCALLS', () => {
  const numbers = Object.values(SYSCALL_NUMBERS);
  assert.is(new Set(numbers).size, numbers.length);
  assert.is(Math.max(...numbers), NR_SYSCALLS - 1);
});

test('every system call of Linux and ours has a row of its own', () => {
  const names = [...Object.keys(SYSCALL_NUMBERS), ...Object.keys(CATAVMM_NUMBERS)];
  const rows = describeSyscalls();
  assert.equal(rows.map(({ name }) => name).sort(), names.sort());
  const without = rows.filter(({ family }) => family === '').map(({ name }) => name);
  assert.equal(without, [], 'calls that are in no family and not in absent.ts');
});

test('absent.ts has no call that a family has', () => {
  const names = Object.keys(absentCalls());
  assert.equal(names.filter((name) => {
    return describeSyscalls().some((call) => call.name === name && call.family !== 'absent');
  }), []);
});

test('missing calls have an errno, partial ones a note', () => {
  for (const { name, support, errno, note } of describeSyscalls()) {
    if (support === 'missing') assert.not(errnoName(errno).startsWith('E?'), name);
    if (support === 'partial') assert.ok(note !== '', name);
  }
});

test('every call has a class for templates, and a sentence where it needs one', () => {
  for (const { name, support, template, templateNote } of describeSyscalls()) {
    if (support !== 'missing') assert.ok(hasTemplateRule(name), `${name}: template-classes.ts`);
    if (support === 'missing') assert.is(template, 'allowed', name);
    if (template !== 'allowed') assert.match(templateNote, /^[A-Z].*\.$/, name);
  }
});

test('a denied call does what it does and leaves its number behind, the first one', () => {
  const table = new SyscallTable({ a: { mlock: full(answer), mlockall: full(answer) } });
  const t = makeTestKernel();
  for (const nr of [MLOCKALL, MLOCK]) {
    assert.is(table.rowOf(nr).handler(t.k, t.task, argsOf(t.task)), 7);
    assert.is(t.k.root.deniedCall, MLOCKALL + 1);
  }
  t.close();
});

test('rowOf() finds rows by number, also ours, and answers for any number', () => {
  assert.is(syscallTable.rowOf(0).name, 'read');
  assert.is(syscallTable.rowOf(231).name, 'exit_group');
  assert.is(syscallTable.rowOf(CATAVMM_BASE).name, 'catavmm_entry');
  for (const nr of [340, NR_SYSCALLS, CATAVMM_BASE + 2, 0x4000_0000, 0xffff_ffff]) {
    const row = syscallTable.rowOf(nr);
    assert.is(row.name, '', String(nr));
    assert.is(row.nr, nr);
    assert.is(row.errno, ENOSYS);
  }
});

test('the families and absent.ts fit together', () => {
  syscallTable.check();
});

test('SyscallTable() places families by number', () => {
  const families = { a: { getpid: full(answer) }, b: { read: partial(answer, 'x') } };
  const table = new SyscallTable(families);
  assert.is(table.rowOf(39).family, 'a');
  assert.is(table.rowOf(39).handler, answer);
  assert.is(table.rowOf(0).support, 'partial');
  assert.is(table.rowOf(1).errno, ENOSYS);
});

test('SyscallTable() throws when two families have one call', () => {
  const families = { a: { getpid: full(answer) }, b: { getpid: full(answer) } };
  assert.throws(() => new SyscallTable(families), /getpid is in a\.ts and b\.ts/);
});

test('SyscallTable() throws for a name that is no system call', () => {
  assert.throws(() => new SyscallTable({ a: { getpidd: full(answer) } }), /a\.ts: getpidd/);
  assert.throws(() => new SyscallTable({}, { nope: missing(ENOSYS) }), /nope/);
  assert.throws(() => new SyscallTable({ a: { toString: full(answer) } }), /toString/);
});

test('SyscallTable() prefers a family to absent.ts', () => {
  const table = new SyscallTable({ a: { getpid: full(answer) } }, { getpid: missing(ENOSYS) });
  assert.is(table.rowOf(39).support, 'full');
});

test('SIGNATURES are for system calls and well-formed', () => {
  const pattern = /^([a-z_0-9]+:[a-z]+\d*( |$))*$/;
  for (const [name, signature] of Object.entries(SIGNATURES)) {
    assert.ok(name in SYSCALL_NUMBERS || name in CATAVMM_NUMBERS, name);
    assert.match(signature, pattern, name);
    assert.ok(signature.split(' ').length <= 6, name);
  }
  assert.equal(Object.keys(SYSCALL_NUMBERS).filter((name) => !(name in SIGNATURES)), []);
});

test.run();
