// Reference counts in saved records: each that is too low is found, and no honest one refused.
import { findLowCount } from '../../../../vmm/boot/image/image-counts.ts';
import { giveRegion, takeRegion, u32, u8 } from '../../../../vmm/kernel/state/memory.ts';
import { type SavedObjects, saveObjects } from '../../../../vmm/kernel/state/save.ts';
import { assert, suite } from '../../../harness.ts';
import { listCounts } from '../../../helpers/counts.ts';
import { type Guest, makeGuest } from '../../kernel/vfs/guest.ts';

const test = suite('vmm/boot/image/image-counts');
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const O_CREAT = 0o100;
const O_RDWR = 2;

/** A guest with something of everything that is counted. */
function busyGuest(): Guest {
  const g = makeGuest({ etc: { motd: 'hi\n' } });
  g.k.root.process = g.process;
  const fd = g.open('/etc/motd');
  g.call('dup', fd);
  g.call('mkdir', '/d', 0o755);
  g.call('chdir', '/d');
  g.open('new', O_CREAT | O_RDWR);
  g.call('unlink', 'new');
  g.call('pipe', g.out);
  g.call('mknod', '/fifo', 0o010644, 0);
  g.open('/fifo', O_RDWR);
  g.call('socketpair', AF_UNIX, SOCK_STREAM, 0, g.out);
  const listener = g.call('socket', AF_UNIX, SOCK_STREAM, 0);
  const name = Uint8Array.from([AF_UNIX, 0, ...new TextEncoder().encode('/d/socket\0')]);
  assert.is(g.call('bind', listener, name, name.length), 0);
  assert.is(g.call('listen', listener, 5), 0);
  assert.is(g.call('connect', g.call('socket', AF_UNIX, SOCK_STREAM, 0), name, name.length), 0);
  return g;
}

/** Looks for a low count in saved records, which `change` may change first. */
function find({ objects, relations }: SavedObjects, change: (base: number) => void): number {
  const objectsBytes = Math.ceil(objects.length / 8) * 8;
  const region = takeRegion(objectsBytes + relations.byteLength);
  try {
    u8.set(objects, region.address);
    u32.set(relations, (region.address + objectsBytes) >> 2);
    change(region.address);
    return findLowCount(
      { address: region.address, bytes: objects.length },
      { address: region.address + objectsBytes, bytes: relations.byteLength },
    );
  } finally {
    giveRegion(region);
  }
}

test('findLowCount() finds each count that is too low, and refuses none that is not', () => {
  const { k } = busyGuest();
  const saved = saveObjects(k.root);
  assert.is(find(saved, () => {}), -1);
  const places = listCounts(saved.objects);
  assert.ok(places.length > 30, `${places.length} counts`);
  let lowered = 0;
  for (const { record, count, value } of places) {
    const set = (change: number) => (base: number): void => {
      const at = (base + count) >> 2;
      u32[at] = (u32[at] as number) + change;
    };
    assert.is(find(saved, set(1)), -1, `${record} counts more`);
    if (value === 0) continue;
    assert.is(find(saved, set(-1)), record, `${record} counts less`);
    lowered++;
  }
  assert.ok(lowered > 30, `${lowered} lowered`);
});

test.run();
