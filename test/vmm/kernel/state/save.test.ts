// Saving records: the walk, the relation table, and relocation back at another address.
import { assert, seededRandom, suite } from '../../../harness.ts';
import { Arena } from '../../../../vmm/kernel/state/arena.ts';
import { memory, takeRegion, giveRegion, u32, u8 } from '../../../../vmm/kernel/state/memory.ts';
import {
  fMust, fNum, fRef, fU32, kind, type Kind, nosave, type Rec,
} from '../../../../vmm/kernel/state/record.ts';
import { type Table, tableKind } from '../../../../vmm/kernel/state/containers.ts';
import { countKinds, saveObjects, schemaWords } from '../../../../vmm/kernel/state/save.ts';
import { createRelocate } from '../../../../wasm/relocate.ts';

interface Cell extends Rec {
  value: number;
  left: Cell | null;
  right: Cell | null;
  self: Cell;
  cache: number;
  children: Table<Cell> | null;
}

const Cell: Kind<Cell> = kind<Cell>(910, 'TestCell', {
  value: fNum,
  left: fRef(() => Cell),
  right: fRef(() => Cell),
  self: fMust(() => Cell),
  cache: nosave(fU32),
  children: fRef(() => CellTable),
});
const CellTable: Kind<Table<Cell>> = tableKind(911, 'TestCellTable', () => Cell);

const test = suite('vmm/kernel/state/save');

function makeCell(arena: Arena, value: number): Cell {
  const cell = arena.make(Cell);
  cell.value = value;
  cell.self = cell;
  cell.cache = 77;
  return cell;
}

/** A random graph; garbage is allocated in between, so that addresses differ from the graph. */
function makeGraph(arena: Arena, seed: number, garbage: number): Cell {
  const random = seededRandom(seed);
  const cells = Array.from({ length: 200 }, (_unused, i) => {
    for (let g = 0; g < garbage; g++) makeCell(arena, -1);
    return makeCell(arena, i);
  });
  const pick = (): Cell => random.pick(cells);
  for (const cell of cells) {
    cell.left = random.bool(0.7) ? pick() : null;
    cell.right = random.bool(0.7) ? pick() : null;
    if (random.bool(0.2)) {
      const table = arena.make(CellTable, 8 * 4);
      table.set(0, pick());
      table.set(7, pick());
      cell.children = table;
    }
  }
  return cells[0] as Cell;
}

function describeGraph(root: Cell): string {
  const seen = new Map<Cell, number>();
  const lines: string[] = [];
  const visit = (cell: Cell | null): string => {
    if (cell === null) return '-';
    const known = seen.get(cell);
    if (known !== undefined) return `#${known}`;
    const id = seen.size;
    seen.set(cell, id);
    const children = cell.children === null
      ? '' : Array.from({ length: 8 }, (_u, i) => visit(cell.children?.get(i) ?? null)).join(',');
    lines.push(`${id}=${cell.value} ${visit(cell.left)} ${visit(cell.right)} [${children}]`);
    return `#${id}`;
  };
  visit(root);
  return lines.join('\n');
}

test('saveObjects() gives the same bytes for the same graph at other addresses', () => {
  const one = new Arena(1 << 20);
  const two = new Arena(1 << 20);
  const a = saveObjects(makeGraph(one, 42, 0));
  const b = saveObjects(makeGraph(two, 42, 3));
  assert.bytes(a.objects, b.objects);
  assert.equal([...a.relations], [...b.relations]);
  assert.ok(a.count > 100, 'precondition: most of the graph is reachable');
  one.close();
  two.close();
});

test('a saved graph relocated into another arena is the same graph', () => {
  const arena = new Arena(1 << 20);
  const root = makeGraph(arena, 7, 1);
  const expected = describeGraph(root);
  const saved = saveObjects(root);
  const target = new Arena(1 << 20);
  const address = target.adopt(saved.objects.length);
  u8.set(saved.objects, address);
  const table = takeRegion(saved.relations.byteLength);
  u32.set(saved.relations, table.address >> 2);
  const count = saved.relations.length / 2;
  const done = createRelocate(memory)
    .relocate(address, saved.objects.length, table.address, count, address);
  assert.is(done, count);
  const restored = target.at(Cell, address);
  assert.is(describeGraph(restored), expected);
  assert.is(restored.cache, 0, 'nosave fields are zero again');
  giveRegion(table);
  arena.close();
  target.close();
});

test('a saved graph passes validate() with the schema of the registered kinds', () => {
  const arena = new Arena(1 << 20);
  const saved = saveObjects(makeGraph(arena, 3, 0));
  const words = schemaWords();
  const relocate = createRelocate(memory);
  const scratchBytes = relocate.scratchBytes(saved.objects.length);
  const region = takeRegion(
    saved.objects.length + saved.relations.byteLength + words.byteLength + scratchBytes + 64);
  const objects = region.address;
  const relations = objects + saved.objects.length;
  const schema = relations + saved.relations.byteLength;
  const scratch = Math.ceil((schema + words.byteLength) / 8) * 8;
  u8.set(saved.objects, objects);
  u32.set(saved.relations, relations >> 2);
  u32.set(words, schema >> 2);
  const check = (): string | null => relocate.validate(
    objects, saved.objects.length, relations, saved.relations.length / 2, schema, scratch,
  )?.sentence ?? null;
  assert.is(check(), null);
  u8[objects] = 0xee;
  assert.ok(check() !== null, 'an unknown kind is refused');
  giveRegion(region);
  arena.close();
});

test('countKinds() counts the records of a section', () => {
  const arena = new Arena(65536);
  const root = makeCell(arena, 1);
  root.left = makeCell(arena, 2);
  assert.equal([...countKinds(saveObjects(root).objects)], [['TestCell', 2]]);
  arena.close();
});

test.run();
