// Records: declared fields, views, references, the arena they live in.
import { assert, suite } from '../../../harness.ts';
import { Arena, ArenaFullError, StateCorruptError } from '../../../../vmm/kernel/state/arena.ts';
import {
  fAny, fBig, fBlob, fBool, fMust, fNum, fRef, fU16, fU32, fU8, kind, type Kind, nosave, type Rec,
} from '../../../../vmm/kernel/state/record.ts';
import {
  growTable, growWords, makeBytes, makeWords, type Table, tableKind,
} from '../../../../vmm/kernel/state/containers.ts';

interface Node extends Rec {
  small: number;
  flag: boolean;
  half: number;
  word: number;
  big: bigint;
  number: number;
  blob: Uint8Array;
  next: Node | null;
  owner: Node;
  anything: Rec | null;
  gone: number;
}

const Node: Kind<Node> = kind<Node>(900, 'TestNode', {
  small: fU8,
  flag: fBool,
  half: fU16,
  word: fU32,
  big: fBig,
  number: fNum,
  blob: fBlob(12),
  next: fRef(() => Node),
  owner: fMust(() => Node),
  anything: fAny,
  gone: nosave(fU32),
});
const NodeTable: Kind<Table<Node>> = tableKind(901, 'TestNodeTable', () => Node);

const test = suite('vmm/kernel/state/record');

test('kind() lays fields out with natural alignment and gives each its accessors', () => {
  const arena = new Arena(65536);
  const node = arena.make(Node);
  node.small = 255;
  node.flag = true;
  node.half = 0xfffe;
  node.word = 0xffff_fffd;
  node.big = 2n ** 64n - 1n;
  node.number = 2 ** 53 - 1;
  node.blob = new Uint8Array([1, 2, 3]);
  assert.is(node.small, 255);
  assert.is(node.flag, true);
  assert.is(node.half, 0xfffe);
  assert.is(node.word, 0xffff_fffd);
  assert.is(node.big, 2n ** 64n - 1n);
  assert.is(node.number, 2 ** 53 - 1);
  assert.bytes(node.blob, new Uint8Array([1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
  assert.is(Node.fixedBytes % 8, 0);
  assert.is(Node.offset('half') % 2, 0);
  assert.is(Node.offset('number') % 8, 0);
  arena.close();
});

test('kind() refuses an id that is taken', () => {
  assert.throws(() => kind<Rec>(900, 'Other', {} as never), /record kind 900/);
});

test('a reference gives the same view each time, so that === compares identity', () => {
  const arena = new Arena(65536);
  const a = arena.make(Node);
  const b = arena.make(Node);
  a.next = b;
  a.owner = a;
  a.anything = b;
  assert.ok(a.next === b);
  assert.ok(a.owner === a);
  assert.ok(a.anything === b);
  a.next = null;
  assert.is(a.next, null);
  arena.close();
});

test('at() refuses an address of another kind', () => {
  const arena = new Arena(65536);
  const bytes = makeBytes(arena, new Uint8Array([1]));
  assert.throws(() => arena.at(Node, bytes.address),
    (e: unknown) => e instanceof StateCorruptError);
  arena.close();
});

test('free() clears the record and its bytes are handed out again', () => {
  const arena = new Arena(65536);
  const first = arena.make(Node);
  first.word = 7;
  const { address } = first;
  arena.free(first);
  const second = arena.make(Node);
  assert.is(second.address, address);
  assert.is(second.word, 0);
  assert.throws(() => { arena.free(second); arena.free(second); });
  arena.close();
});

test('make() throws ArenaFullError at the region limit and the arena stays usable', () => {
  const arena = new Arena(65536);
  const made: Node[] = [];
  assert.throws(
    () => { for (;;) made.push(arena.make(Node)); },
    (e: unknown) => e instanceof ArenaFullError,
  );
  arena.free(made[0] as Node);
  assert.ok(arena.make(Node) !== undefined);
  arena.close();
});

test('a table grows, keeps its entries and refuses indexes outside', () => {
  const arena = new Arena(65536);
  let table = arena.make(NodeTable, 4 * 4);
  const node = arena.make(Node);
  table.set(3, node);
  table.length = 4;
  table = growTable(NodeTable, table, 9);
  assert.ok(table.capacity >= 9);
  assert.ok(table.get(3) === node);
  assert.is(table.get(8), null);
  assert.is(table.get(-1), null);
  assert.throws(() => table.set(table.capacity, node), /index/);
  arena.close();
});

test('words grow and keep their content', () => {
  const arena = new Arena(65536);
  let words = makeWords(arena, 2);
  words.data[1] = 9;
  words = growWords(words, 5);
  assert.is(words.data[1], 9);
  assert.is(words.data[4], 0);
  arena.close();
});

test('close() gives back a zeroed region that the next arena reuses', () => {
  const arena = new Arena(65536);
  arena.make(Node).word = 5;
  const { address } = arena.region;
  arena.close();
  arena.close();
  const next = new Arena(65536);
  assert.is(next.region.address, address);
  assert.is(next.make(Node).word, 0);
  next.close();
});

test.run();
