// Tests boot/output-pipe.ts: nothing is lost, whoever takes it, and a full pipe says so.
import { OutputPipe } from '../../../../vmm/boot/stdio/output-pipe.ts';
import { assert, suite } from '../../../harness.ts';

const test = suite('vmm/boot/output-pipe');
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (data: Uint8Array): string => new TextDecoder().decode(data);
const MIB = 1024 * 1024;

test('collect() gives what came before and after it was called', async () => {
  const pipe = new OutputPipe(() => undefined);
  pipe.push(bytes('one '));
  const all = pipe.collect();
  pipe.push(bytes('two'));
  pipe.end();
  assert.is(textOf(await all), 'one two');
});

test('collect() of a pipe that has ended gives all of it', async () => {
  const pipe = new OutputPipe(() => undefined);
  pipe.push(bytes('all'));
  pipe.end();
  assert.is(textOf(await pipe.collect()), 'all');
});

test('a pipe that nobody takes from is full at 1 MiB, until somebody collects', async () => {
  let drained = 0;
  const pipe = new OutputPipe(() => { drained++; });
  assert.is(pipe.push(new Uint8Array(MIB - 1)), true);
  assert.is(pipe.push(new Uint8Array(1)), false);
  const all = pipe.collect();
  assert.is(drained, 1);
  assert.is(pipe.push(new Uint8Array(MIB)), true);
  pipe.end();
  assert.is((await all).length, 2 * MIB);
});

test('stream() gives what was kept and what comes, and then ends', async () => {
  const pipe = new OutputPipe(() => undefined);
  pipe.push(bytes('a'));
  const reader = pipe.stream().getReader();
  pipe.push(bytes('b'));
  pipe.end();
  const seen: string[] = [];
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    seen.push(textOf(next.value));
  }
  assert.is(seen.join(''), 'ab');
});

test('a stream that is cancelled lets the guest write on', async () => {
  const pipe = new OutputPipe(() => undefined);
  await pipe.stream().cancel();
  assert.is(pipe.push(new Uint8Array(2 * MIB)), true);
  pipe.end();
});

test.run();
