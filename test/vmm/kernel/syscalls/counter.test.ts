// Counting calls, errors and time.
import { assert, suite } from '../../../harness.ts';
import { SyscallCounter } from '../../../../vmm/kernel/syscalls/counter.ts';

const test = suite('vmm/kernel/syscalls/counter');

test('list() has calls and errors by number, the most frequent first', () => {
  const counter = new SyscallCounter();
  counter.begin(1);
  for (let i = 0; i < 3; i++) counter.begin(0);
  counter.fail(0);
  assert.equal(counter.list(), [
    { nr: 0, calls: 3, errors: 1, hostNs: 0 },
    { nr: 1, calls: 1, errors: 0, hostNs: 0 },
  ]);
  assert.is(counter.callsOf(0), 3);
  assert.is(counter.callsOf(39), 0);
});

test('spend() adds time only while timing is on', () => {
  const counter = new SyscallCounter();
  counter.begin(0);
  counter.spend(0, counter.now());
  assert.is(counter.list()[0]?.hostNs, 0);
  counter.timing = true;
  const startMs = counter.now();
  while (performance.now() - startMs < 2);
  counter.spend(0, startMs);
  assert.ok((counter.list()[0]?.hostNs ?? 0) >= 1e6);
});

test('reset() forgets everything', () => {
  const counter = new SyscallCounter();
  counter.begin(5);
  counter.reset();
  assert.equal(counter.list(), []);
});

test.run();
