// The vDSO as a linker sees it: found by hash, name and version, inside its one segment.
import { assert, suite } from '../../../harness.ts';
import { parseElf, PF_R, PF_X, PT_DYNAMIC, PT_LOAD } from '../../../../formats/elf.ts';
import { vdsoPage } from '../../../../vmm/kernel/vdso/image.ts';

const test = suite('vmm/kernel/vdso/image');
const NAMES: readonly string[] = [
  '__vdso_clock_gettime', '__vdso_gettimeofday', '__vdso_time', '__vdso_getcpu',
  '__vdso_clock_getres',
];
/** Linux: arch/x86/entry/vdso/vdso.lds.S; the hash is that of "LINUX_2.6". */
const LINUX_2_6 = 0x3ae75f6;
const DT = {
  HASH: 4, STRTAB: 5, SYMTAB: 6, STRSZ: 10, SONAME: 14, VERSYM: 0x6fff_fff0, VERDEF: 0x6fff_fffc,
};

const page = vdsoPage();
const view = new DataView(page.buffer);
const word = (at: number): number => view.getUint32(at, true);

function readDynamic(): Map<number, number> {
  const { phdrs } = parseElf(page);
  const { off } = phdrs.find(({ type }) => type === PT_DYNAMIC) as { off: number };
  const entries = new Map<number, number>();
  for (let at = off; word(at) !== 0; at += 16) entries.set(word(at), word(at + 8));
  return entries;
}

const dynamic = readDynamic();
const at = (tag: number): number => dynamic.get(tag) as number;

function nameAt(offset: number): string {
  const start = at(DT.STRTAB) + offset;
  assert.ok(offset < at(DT.STRSZ), 'the name lies in the table');
  return new TextDecoder().decode(page.subarray(start, page.indexOf(0, start)));
}

test('is a shared object of one page that may be read and executed', () => {
  const { type, phdrs } = parseElf(page);
  assert.is(type, 'dyn');
  const loads = phdrs.filter((phdr) => phdr.type === PT_LOAD);
  assert.is(loads.length, 1);
  const [load] = loads as [typeof loads[number]];
  assert.is(load.flags, PF_R | PF_X);
  assert.is(load.vaddr, 0);
  assert.ok(load.memBytes <= page.length);
  assert.is(nameAt(at(DT.SONAME)), 'linux-vdso.so.1');
});

test('has the functions of Linux, all in one hash chain, inside the segment', () => {
  const hash = at(DT.HASH);
  const [buckets, symbols, first] = [word(hash), word(hash + 4), word(hash + 8)];
  assert.is(buckets, 1);
  const found: string[] = [];
  const loadedBytes = parseElf(page).phdrs[0]?.memBytes ?? 0;
  for (let index = first as number; index !== 0; index = word(hash + 12 + index * 4)) {
    assert.ok(index < (symbols as number), 'the chain stays in the table');
    const symbol = at(DT.SYMTAB) + index * 24;
    found.push(nameAt(word(symbol)));
    assert.is(view.getUint8(symbol + 4), 0x12, 'a global function');
    assert.ok(view.getUint16(symbol + 6, true) !== 0, 'a defined one');
    assert.ok(word(symbol + 8) + word(symbol + 16) <= loadedBytes);
    assert.is(view.getUint16(at(DT.VERSYM) + index * 2, true), 2, 'of the second version');
  }
  assert.equal(found, [...NAMES]);
});

test('defines the version LINUX_2.6', () => {
  const base = at(DT.VERDEF);
  const second = base + word(base + 16);
  assert.is(view.getUint16(second + 4, true), 2);
  assert.is(word(second + 8), LINUX_2_6);
  assert.is(nameAt(word(second + word(second + 12))), 'LINUX_2.6');
  assert.is(word(second + 16), 0, 'there is no third');
});

test.run();
