// From a guest's end to an exit code, and signals on their way to it.

import process from 'node:process';
import { parseArguments } from '../../cli/args.ts';
import { CommandError } from '../../cli/errors.ts';
import { concludeStatus, SignalRelay } from '../../cli/guest.ts';
import { Output } from '../../cli/output.ts';
import type { Status } from '../../vmm/options.ts';
import { assert, suite } from '../harness.ts';

const test = suite('cli/guest');
const output = new Output({ json: false, quiet: true, noColor: true, env: {} });
const args = parseArguments(['run', '--timeout', '5s', 'x'], {});

function conclude(status: Partial<Status>): number {
  const whole: Status = { success: false, code: 0, signal: null, reason: 'exited', ...status };
  return concludeStatus(whole, args, output);
}

test('concludeStatus() gives the exit codes that are documented', () => {
  assert.is(conclude({ code: 0 }), 0);
  assert.is(conclude({ code: 42 }), 42);
  assert.is(conclude({ code: 139, signal: 'SIGSEGV', reason: 'signaled' }), 139);
  assert.is(conclude({ code: 137, reason: 'timeout' }), 124);
  assert.throws(() => conclude({ reason: 'failed', message: 'KVM is gone.' }), CommandError);
});

test('SignalRelay passes signals on and makes the second SIGINT a SIGKILL', () => {
  const sent: unknown[] = [];
  const relay = new SignalRelay();
  process.emit('SIGUSR1', 'SIGUSR1');
  assert.equal(sent, [], 'there is no guest yet');
  relay.connect({ kill: (signal) => sent.push(signal) });
  process.emit('SIGINT', 'SIGINT');
  process.emit('SIGHUP', 'SIGHUP');
  process.emit('SIGINT', 'SIGINT');
  relay.stop();
  assert.equal(sent, ['SIGUSR1', 'SIGINT', 'SIGHUP', 'SIGKILL']);
  assert.is(process.listenerCount('SIGUSR2'), 0);
});

test.run();
