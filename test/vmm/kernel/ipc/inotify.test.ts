// inotify(7) where the host is no oracle: limits, memory that runs out, names that would be
// forgotten. What is told when is compared with the host by fixtures/c/inotify.c.
import { EMFILE } from '../../../../vmm/abi/errno.ts';
import { IN_ALL_EVENTS, IN_NONBLOCK, IN_OPEN } from '../../../../vmm/abi/eventfd.ts';
import { InotifyEvent } from '../../../../vmm/abi/struct-file.ts';
import { INOTIFY_EVENTS_MOST, INOTIFY_INSTANCES_MOST } from '../../../../vmm/abi/limits.ts';
import { trimDentries } from '../../../../vmm/kernel/vfs/dentry.ts';
import { assert, suite } from '../../../harness.ts';
import { type Guest, makeGuest } from '../vfs/guest.ts';

const test = suite('vmm/kernel/ipc/inotify');
const IN_Q_OVERFLOW = 0x4000;

/** Masks of all events that can be read. */
function readMasks(g: Guest, fd: number): number[] {
  const masks: number[] = [];
  for (;;) {
    const count = g.call('read', fd, g.out, 65536);
    if (count < 0) return masks;
    const raw = g.peek(g.out, count);
    const view = new DataView(raw.buffer);
    for (let at = 0; at < count; at += InotifyEvent.bytes + InotifyEvent.len.get(view, at)) {
      masks.push(InotifyEvent.mask.get(view, at));
    }
  }
}

test('inotify_init1() is EMFILE at the limit, and closing gives instances back', () => {
  const g = makeGuest();
  const fds: number[] = [];
  for (let i = 0; i < INOTIFY_INSTANCES_MOST; i++) fds.push(g.call('inotify_init1', 0));
  assert.is(g.call('inotify_init1', 0), -EMFILE);
  g.call('close', fds[3] as number);
  assert.is(g.call('inotify_init1', 0), fds[3]);
  g.close();
});

test('a watched lower file is not forgotten', () => {
  const g = makeGuest({ etc: { motd: 'hi\n' } });
  const fd = g.call('inotify_init1', IN_NONBLOCK);
  assert.is(g.call('inotify_add_watch', fd, '/etc/motd', IN_OPEN), 1);
  trimDentries(g.k, 0);
  g.file('/etc/motd');
  assert.equal(readMasks(g, fd), [IN_OPEN]);
  assert.is(g.call('inotify_rm_watch', fd, 1), 0);
  assert.is(g.k.root.inotifyWatches, 0);
  g.close();
});

test('an instance takes its watches and unread events with it', () => {
  const g = makeGuest();
  const round = (): number => {
    const fd = g.call('inotify_init1', IN_NONBLOCK);
    g.call('inotify_add_watch', fd, '/', IN_ALL_EVENTS);
    for (let i = 0; i < 100; i++) g.write(`/file-${i % 3}`, 'x');
    g.call('close', fd);
    for (let i = 0; i < 3; i++) g.call('unlink', `/file-${i}`);
    return g.k.arena.usedBytes;
  };
  round();
  const after = round();
  for (let i = 0; i < 20; i++) assert.is(round(), after);
  assert.is(g.k.root.inotifyWatches + g.k.root.inotifyInstances, 0);
  g.close();
});

test('events for which there is no memory are an overflow, and the change happens', () => {
  const g = makeGuest({}, { arenaBytes: 512 * 1024 });
  const fd = g.call('inotify_init1', IN_NONBLOCK);
  g.write('/a', '');
  g.write('/b', '');
  g.call('inotify_add_watch', fd, '/', IN_ALL_EVENTS);
  for (let i = 0; i < INOTIFY_EVENTS_MOST; i++) {
    assert.is(g.call('chmod', i % 2 === 0 ? '/a' : '/b', 0o600), 0);
  }
  const masks = readMasks(g, fd);
  assert.ok(masks.length < INOTIFY_EVENTS_MOST);
  assert.equal(masks.filter((mask) => mask === IN_Q_OVERFLOW).length, 1);
  assert.is(masks.at(-1), IN_Q_OVERFLOW);
  g.close();
});

test.run();
