// The doctor's judgements on versions, limits, capabilities and speed; and its probes, where there
// is a KVM.

import { judgeCapability } from '../../../vmm/doctor/kvm.ts';
import { findLimit } from '../../../vmm/doctor/host.ts';
import { diagnose } from '../../../vmm/doctor/mod.ts';
import { checkRuntimeVersion, isOlder } from '../../../vmm/doctor/runtime.ts';
import { judgeSpeed, measureSpeed, median } from '../../../vmm/doctor/speed.ts';
import { assert, kvmUsable, needsKvm, suite } from '../../harness.ts';

const test = suite('vmm/doctor');

test('isOlder() compares versions by number', () => {
  const rows: [string, string, boolean][] = [
    ['1.4.4', '1.4.5', true], ['1.4.5', '1.4.5', false], ['1.4.10', '1.4.5', false],
    ['1.3.14', '1.4.5', true], ['20.9.0', '20.19.0', true], ['22.0.0', '20.19.0', false],
    ['1.4.5-canary.1', '1.4.5', false], ['2.9', '2.9.0', false],
  ];
  for (const [left, right, older] of rows) {
    assert.is(isOlder(left, right), older, `${left} ${right}`);
  }
});

test('checkRuntimeVersion() refuses runtimes that crash, and says why', () => {
  const bad = checkRuntimeVersion('bun', '1.3.14');
  assert.is(bad.state, 'bad');
  assert.match(bad.hint, 'crash');
  assert.match(bad.hint, '1.4.5');
  assert.is(checkRuntimeVersion('bun', '1.4.5').state, 'ok');
  assert.is(checkRuntimeVersion('node', '18.20.0').state, 'bad');
  assert.is(checkRuntimeVersion('deno', '2.9.6').state, 'ok');
});

test('findLimit() reads rows of /proc/self/limits', () => {
  const limits =
    'Limit                     Soft Limit           Hard Limit           Units     \n' +
    'Max open files            1024                 524288               files     \n' +
    'Max locked memory         unlimited            unlimited            bytes     \n';
  assert.equal(findLimit(limits, 'Max open files'), { soft: 1024, hard: 524288 });
  assert.is(findLimit(limits, 'Max locked memory')?.soft, Infinity);
  assert.is(findLimit(limits, 'Max core file size'), undefined);
});

test('judgeCapability() wants a value, and all bits where bits count', () => {
  const capability = { name: 'X', number: 1, bits: 3, why: 'this' };
  assert.is(judgeCapability(capability, 7).state, 'ok');
  assert.is(judgeCapability(capability, 1).state, 'bad');
  assert.is(judgeCapability({ ...capability, bits: 0 }, 1).state, 'ok');
  assert.is(judgeCapability({ ...capability, bits: 0 }, 0).state, 'bad');
});

test('judgeSpeed() warns of slow VMs and exits, with what to do', () => {
  const states = (newVmUs: number, exitUs: number): string[] =>
    judgeSpeed({ newVmUs, newMachineUs: 400, exitUs }).map(({ state }) => state);
  assert.equal(states(300, 30), ['ok', 'info', 'ok']);
  assert.equal(states(9000, 500), ['warn', 'info', 'warn']);
  const [row] = judgeSpeed({ newVmUs: 9000, newMachineUs: 400, exitUs: 30 });
  assert.match(row?.hint ?? '', 'nx_huge_pages');
});

test('median() is the middle, or the mean of the two middles', () => {
  assert.is(median([3, 1, 2]), 2);
  assert.is(median([4, 1, 2, 3]), 2.5);
  assert.is(median([7]), 7);
});

test('diagnose() agrees with whether /dev/kvm can be opened', async () => {
  const { usable, checks } = await diagnose();
  if (!kvmUsable()) {
    assert.not(usable);
    assert.ok(checks.find(({ name }) => name === '/dev/kvm')?.hint !== '');
    return;
  }
  const bad = checks.filter(({ state }) => state === 'bad');
  assert.equal(bad, []);
  assert.ok(usable);
});

needsKvm(test)('measureSpeed() runs a guest that makes system calls', () => {
  const { newVmUs, newMachineUs, exitUs } = measureSpeed();
  assert.ok(newVmUs > 0 && newMachineUs > 0);
  assert.ok(exitUs > 0.2 && exitUs < 10_000, `${exitUs} µs`);
});

test.run();
