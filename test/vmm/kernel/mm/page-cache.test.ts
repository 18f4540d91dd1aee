// File content through the page cache: reading, writing, truncating, holes, images.
import { assert, suite } from '../../../harness.ts';
import { GuestCpu } from '../../../helpers/guest-cpu.ts';
import { makeTestKernel, type TestKernel } from '../../../helpers/kernel.ts';
import { rebase } from '../../../helpers/rebase.ts';
import { EFAULT, EFBIG, EIO, ENOMEM, ESTALE } from '../../../../vmm/abi/errno.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED } from '../../../../vmm/abi/mman.ts';
import { RLIMIT_FSIZE } from '../../../../vmm/abi/resource.ts';
import { countPages } from '../../../../vmm/kernel/mm/cache-pages.ts';
import { checkMm } from '../../../../vmm/kernel/mm/check.ts';
import { mapRegion } from '../../../../vmm/kernel/mm/map.ts';
import {
  dropInodePages, FILE_BYTES_MOST, punchPages, readFilePages, truncatePages, writeFilePages,
} from '../../../../vmm/kernel/mm/page-cache.ts';
import { copyIn } from '../../../../vmm/kernel/mm/user-memory.ts';
import { Process } from '../../../../vmm/kernel/records/task.ts';
import type { Inode } from '../../../../vmm/kernel/records/vfs.ts';
import { f64 } from '../../../../vmm/kernel/state/memory.ts';
import { dropInode } from '../../../../vmm/kernel/vfs/inode.ts';
import { kernelBuffer, userBuffer } from '../../../../vmm/kernel/vfs/io-buffer.ts';
import { lowerInode, pattern } from './files.ts';

const test = suite('kernel/mm/page-cache');
const PAGE = 4096;
const BASE = 0x1000_0000;
const ANON: number = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

function read(t: TestKernel, inode: Inode, offset: number, count: number): Uint8Array {
  const buffer = new Uint8Array(count);
  return buffer.subarray(0, Math.max(readFilePages(t.k, inode, offset, kernelBuffer(buffer)), 0));
}

function write(t: TestKernel, inode: Inode, offset: number, data: Uint8Array): number {
  return writeFilePages(t.k, inode, offset, kernelBuffer(data));
}

test('readFilePages() gives a lower file in few reads and caches nothing', () => {
  const content = pattern(100, 77);
  const t = makeTestKernel({ lower: { f: content } });
  const inode = lowerInode(t, 'f');
  assert.bytes(read(t, inode, 0, 200 * PAGE), content);
  assert.bytes(read(t, inode, 4090, 20), content.subarray(4090, 4110));
  assert.bytes(read(t, inode, 100 * PAGE, 200), content.subarray(100 * PAGE));
  assert.is(read(t, inode, content.length, 10).length, 0);
  assert.atMost(t.lower.reads, 7);
  assert.equal([inode.pages, t.k.frames.used], [null, 0]);
  t.close();
});

test('writeFilePages() changes what is read, in the middle, across pages and at the end', () => {
  const content = pattern(5, 100);
  const t = makeTestKernel({ lower: { f: content } });
  const inode = lowerInode(t, 'f');
  for (const [offset, count] of [[10, 5], [PAGE - 3, 2 * PAGE], [5 * PAGE + 90, 500]] as const) {
    const data = new Uint8Array(count).fill(count & 0xff);
    assert.is(write(t, inode, offset, data), count);
  }
  const wanted = new Uint8Array(5 * PAGE + 590);
  wanted.set(content);
  wanted.fill(5, 10, 15);
  wanted.fill(0, PAGE - 3, 3 * PAGE - 3);
  wanted.fill(500 & 0xff, 5 * PAGE + 90);
  assert.bytes(read(t, inode, 0, 10 * PAGE), wanted);
  assert.is(inode.bytes, wanted.length);
  assert.is(countPages(inode), 4);
  checkMm(t.k, t.mm, [inode]);
  t.close();
});

test('writeFilePages() beyond the end leaves a hole of zeroes', () => {
  const t = makeTestKernel({ lower: { f: pattern(1, 10) } });
  const inode = lowerInode(t, 'f');
  assert.is(write(t, inode, 5 * PAGE, Uint8Array.of(1)), 1);
  const all = read(t, inode, 0, 10 * PAGE);
  assert.is(all.length, 5 * PAGE + 1);
  assert.ok(all.subarray(PAGE + 10, 5 * PAGE).every((byte) => byte === 0));
  assert.is(all[5 * PAGE], 1);
  assert.is(countPages(inode), 1);
  t.close();
});

test('growing a file never shows what a mapping wrote behind its end', () => {
  for (const grow of ['write', 'truncate'] as const) {
    const t = makeTestKernel({ lower: { f: pattern(0, 10) } });
    const cpu = new GuestCpu(t);
    const inode = lowerInode(t, 'f');
    mapRegion(t.k, { gva: BASE, bytes: PAGE, prot: 3, flags: MAP_SHARED | MAP_FIXED, inode });
    cpu.write(BASE + 20, 9);
    if (grow === 'write') write(t, inode, 30, Uint8Array.of(1));
    else truncatePages(t.k, inode, 31);
    assert.is(read(t, inode, 0, 100).length, 31);
    assert.is(read(t, inode, 20, 1)[0], 0, grow);
    t.close();
  }
});

test('writeFilePages() refuses what is too large, and cuts at RLIMIT_FSIZE', () => {
  const t = makeTestKernel({ lower: { f: '' } });
  const inode = lowerInode(t, 'f');
  assert.is(write(t, inode, FILE_BYTES_MOST, Uint8Array.of(1)), -EFBIG);
  assert.is(truncatePages(t.k, inode, FILE_BYTES_MOST + 1), -EFBIG);
  f64[((t.process.address + Process.offset('limits')) >> 3) + RLIMIT_FSIZE * 2] = 100;
  assert.is(write(t, inode, 90, new Uint8Array(20)), 10);
  assert.is(write(t, inode, 100, new Uint8Array(20)), -EFBIG);
  assert.is(inode.bytes, 100);
  t.close();
});

test('writeFilePages() says ENOMEM when there are no frames, and what it wrote before that', () => {
  const t = makeTestKernel({ lower: { f: '' }, bankFrames: 11 });
  const inode = lowerInode(t, 'f');
  assert.is(write(t, inode, 0, pattern(20)), 10 * PAGE);
  assert.is(write(t, inode, 10 * PAGE, pattern(1)), -ENOMEM);
  assert.is(inode.bytes, 10 * PAGE);
  checkMm(t.k, t.mm, [inode]);
  t.close();
});

test('readFilePages() and writeFilePages() say EFAULT for a bad address, or move less', () => {
  const t = makeTestKernel({ lower: { f: pattern(4) } });
  const inode = lowerInode(t, 'f');
  assert.is(readFilePages(t.k, inode, 0, userBuffer(t.k, 0x5000, 10)), -EFAULT);
  assert.is(writeFilePages(t.k, inode, 0, userBuffer(t.k, 0x5000, 10)), -EFAULT);
  assert.is(writeFilePages(t.k, inode, 10 * PAGE, userBuffer(t.k, 0x5000, 10)), -EFAULT);
  mapRegion(t.k, { gva: BASE, bytes: PAGE, prot: 3, flags: ANON });
  assert.is(readFilePages(t.k, inode, 0, userBuffer(t.k, BASE, 3 * PAGE)), PAGE);
  assert.is(writeFilePages(t.k, inode, 0, userBuffer(t.k, BASE + 10, PAGE)), PAGE - 10);
  assert.is(inode.bytes, 4 * PAGE);
  assert.bytes(read(t, inode, 0, 4 * PAGE), pattern(4));
  checkMm(t.k, t.mm, [inode]);
  t.close();
});

test('writing a mapping of a file to the same file works', () => {
  const t = makeTestKernel({ lower: { f: pattern(4) } });
  const inode = lowerInode(t, 'f');
  mapRegion(t.k, { gva: BASE, bytes: 4 * PAGE, prot: 1, flags: MAP_SHARED | MAP_FIXED, inode });
  assert.is(writeFilePages(t.k, inode, 4 * PAGE, userBuffer(t.k, BASE, 4 * PAGE)), 4 * PAGE);
  const doubled = new Uint8Array(8 * PAGE);
  doubled.set(pattern(4));
  doubled.set(pattern(4), 4 * PAGE);
  assert.bytes(read(t, inode, 0, 8 * PAGE), doubled);
  checkMm(t.k, t.mm, [inode]);
  t.close();
});

test('truncatePages() hides lower content for good', () => {
  const t = makeTestKernel({ lower: { f: pattern(4) } });
  const inode = lowerInode(t, 'f');
  assert.is(truncatePages(t.k, inode, PAGE + 10), 0);
  assert.is(truncatePages(t.k, inode, 4 * PAGE), 0);
  const all = read(t, inode, 0, 8 * PAGE);
  assert.is(all.length, 4 * PAGE);
  assert.is(all[PAGE + 9], 2);
  assert.ok(all.subarray(PAGE + 10).every((byte) => byte === 0));
  t.close();
});

test('truncatePages() frees the pages beyond the new end', () => {
  const t = makeTestKernel({ lower: { f: '' } });
  const inode = lowerInode(t, 'f');
  write(t, inode, 0, pattern(20));
  write(t, inode, 1000 * PAGE, pattern(1));
  assert.is(t.k.frames.used, 21);
  truncatePages(t.k, inode, 4 * PAGE + 1);
  assert.equal([t.k.frames.used, countPages(inode)], [5, 5]);
  truncatePages(t.k, inode, 0);
  assert.is(t.k.frames.used, 0);
  checkMm(t.k, t.mm, [inode]);
  t.close();
});

test('punchPages() makes zeroes of lower and of written content', () => {
  const t = makeTestKernel({ lower: { f: pattern(6) } });
  const inode = lowerInode(t, 'f');
  write(t, inode, 4 * PAGE, new Uint8Array(PAGE).fill(77));
  assert.is(punchPages(t.k, inode, PAGE + 5, 5 * PAGE), 0);
  const wanted = pattern(6);
  wanted.fill(0, PAGE + 5, 5 * PAGE);
  assert.bytes(read(t, inode, 0, 10 * PAGE), wanted);
  t.close();
});

test('a lower file that changed or is missing is an errno, never other bytes', () => {
  const t = makeTestKernel({ lower: { f: pattern(4), g: pattern(4), h: pattern(4) } });
  const [f, g, h] = ['f', 'g', 'h'].map((name) => lowerInode(t, name)) as [Inode, Inode, Inode];
  t.lower.replace('f', pattern(4));
  t.lower.remove('g');
  assert.is(readFilePages(t.k, f, 0, kernelBuffer(new Uint8Array(10))), -ESTALE);
  assert.is(readFilePages(t.k, g, 0, kernelBuffer(new Uint8Array(10))), -EIO);
  assert.is(write(t, f, 10, Uint8Array.of(1)), -ESTALE, 'the rest of the page is unknown');
  assert.is(read(t, h, 0, PAGE).length, PAGE);
  t.lower.write('h', pattern(1));
  assert.is(readFilePages(t.k, h, 2 * PAGE, kernelBuffer(new Uint8Array(PAGE))), -EIO, 'it shrank');
  assert.is(t.k.frames.used, 0);
  t.close();
});

test('pages of an image are read from it, and copied when they are written', () => {
  const t = makeTestKernel({ lower: { f: pattern(4) }, baseFrames: 32 });
  const inode = lowerInode(t, 'f');
  write(t, inode, 0, pattern(2));
  rebase(t, [inode], 0);
  t.lower.remove('f');
  assert.bytes(read(t, inode, 0, 2 * PAGE), pattern(2));
  assert.is(write(t, inode, 5, Uint8Array.of(99)), 1);
  assert.equal([t.k.frames.used, read(t, inode, 5, 1)[0], t.base[5]], [1, 99, 1]);
  truncatePages(t.k, inode, PAGE + 1);
  assert.bytes(read(t, inode, PAGE, PAGE), Uint8Array.of(2));
  checkMm(t.k, t.mm, [inode]);
  t.close();
});

test('read(2) into memory that was never touched fills it', () => {
  const t = makeTestKernel({ lower: { f: pattern(40) } });
  const inode = lowerInode(t, 'f');
  mapRegion(t.k, { gva: BASE, bytes: 64 * PAGE, prot: 3, flags: ANON });
  assert.is(readFilePages(t.k, inode, 100, userBuffer(t.k, BASE + 50, 1 << 20)), 40 * PAGE - 100);
  const back = new Uint8Array(40 * PAGE - 100);
  copyIn(t.k, BASE + 50, back);
  assert.bytes(back, pattern(40).subarray(100));
  t.close();
});

test('dropInode() frees the page cache with the last reference', () => {
  const t = makeTestKernel({ lower: { f: '' } });
  const inode = lowerInode(t, 'f');
  write(t, inode, 0, pattern(600));
  assert.is(t.k.frames.used, 600);
  dropInode(t.k, inode);
  assert.is(t.k.frames.used, 0);
  t.close();
});

test('dropInodePages() leaves a cache that can be used again', () => {
  const t = makeTestKernel({ lower: { f: pattern(2) } });
  const inode = lowerInode(t, 'f');
  write(t, inode, 0, Uint8Array.of(50));
  dropInodePages(t.k, inode);
  assert.is(read(t, inode, 0, 1)[0], 1, 'what was written is gone');
  write(t, inode, 0, Uint8Array.of(51));
  assert.is(read(t, inode, 0, 1)[0], 51);
  t.close();
});

test.run();
