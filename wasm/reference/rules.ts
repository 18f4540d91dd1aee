// checkRules() in plain TypeScript: what assembly/rules.ts must do. Written for reading, from the
// format in wasm/relocate.ts; tests compare the two.

/** What checkRules() returns, and what the code is about. */
export interface RulesResult {
  code: number;
  at: number;
}

interface Link {
  offset: number;
  back: number;
  listClass: number;
  role: number;
  owner: number;
  flag: number;
}

interface Kind {
  fixedBytes: number;
  single: number;
  /** Offset, type, step, least, most. */
  numbers: [number, number, number, number, number][];
  links: Link[];
  chain: number[];
}

interface Section {
  view: DataView;
  objects: number;
  /** Offsets of the records, ascending, and what they are. */
  records: [offset: number, kind: Kind][];
  /** Where the reference field at an offset leads. */
  targets: Map<number, number>;
}

const HEAD = 1;
const NEXT = 2;
const TAIL = 3;

function readKinds(view: DataView, rules: number): Kind[] {
  const kindCount = view.getUint32(rules, true);
  const rows = rules + 4 + kindCount * 28;
  return Array.from({ length: kindCount }, (_unused, id) => {
    const word = (index: number): number => view.getUint32(rules + 4 + id * 28 + index * 4, true);
    const numbers = Array.from({ length: word(2) }, (_none, index): Kind['numbers'][number] => {
      const at = rows + word(3) * 4 + index * 20;
      return [view.getUint16(at, true), view.getUint8(at + 2), view.getUint8(at + 3),
        view.getFloat64(at + 4, true), view.getFloat64(at + 12, true)];
    });
    const links = Array.from({ length: word(4) }, (_none, index): Link => {
      const at = rows + word(5) * 4 + index * 12;
      return {
        offset: view.getUint16(at, true), back: view.getUint16(at + 2, true),
        listClass: view.getUint8(at + 4), role: view.getUint8(at + 5),
        owner: view.getUint16(at + 6, true), flag: view.getUint16(at + 8, true),
      };
    });
    const chain = [word(6) & 0xffff, word(6) >>> 16];
    return { fixedBytes: word(0), single: word(1), numbers, links, chain };
  });
}

/** Same result as the module's checkRules(); `at` is what its readFaultAt() says. */
export function checkReferenceRules(
  memory: WebAssembly.Memory, objects: number, objectsBytes: number,
  relations: number, relationCount: number, rules: number,
): RulesResult {
  const view = new DataView(memory.buffer);
  const kinds = readKinds(view, rules);
  const targets = new Map<number, number>();
  for (let index = 0; index < relationCount; index++) {
    const at = relations + index * 8;
    targets.set(view.getUint32(at, true), view.getUint32(at + 4, true));
  }
  const records: Section['records'] = [];
  for (let offset = 0; offset < objectsBytes;) {
    records.push([offset, kinds[view.getUint16(objects + offset, true)] as Kind]);
    offset += view.getUint32(objects + offset + 4, true);
  }
  const section = { view, objects, records, targets };
  return checkNumbers(section) ?? checkLists(section) ?? checkChains(section) ??
    { code: records.length, at: 0 };
}

function checkNumbers({ view, objects, records, targets }: Section): RulesResult | null {
  const seen = new Set<number>();
  for (const [offset, kind] of records) {
    if (kind.single !== 0 && seen.has(kind.single)) return { code: -14, at: offset };
    seen.add(kind.single);
    for (const [field, type, step, least, most] of kind.numbers) {
      const at = objects + offset + field;
      const value = [
        () => 0, () => view.getUint8(at), () => view.getUint16(at, true),
        () => view.getUint32(at, true), () => view.getInt32(at, true),
        () => view.getFloat64(at, true), () => 0, () => view.getUint32(at, true),
        () => view.getUint32(at, true), () => view.getUint32(at, true),
      ][type]?.() ?? 0;
      const bad = { at: offset + field };
      if (type === 6) {
        for (let byte = 0; byte < most; byte++) {
          if (view.getUint8(at + byte) !== 0) return { code: -12, ...bad };
        }
      } else if (type === 7) {
        const room = view.getUint32(objects + offset + 4, true) - kind.fixedBytes;
        if (value * most > room) return { code: -13, ...bad };
      } else if (type > 7) {
        const target = targets.get(offset + most);
        const length = target === undefined ? 0 : view.getUint32(objects + target + 8, true);
        if (value > length || (type === 9 && value === length)) return { code: -13, ...bad };
      } else {
        const steps = value / 2 ** step;
        if (!(value >= least && value <= most) || Math.trunc(steps) !== steps) {
          return { code: -11, ...bad };
        }
      }
    }
  }
  return null;
}

function checkLists({ view, objects, records, targets }: Section): RulesResult | null {
  const listed = new Set<string>();
  for (const [offset, { links }] of records) {
    for (const { offset: field, back, listClass, role, owner } of links) {
      const target = targets.get(offset + field);
      if (target === undefined) continue;
      const at = offset + field;
      const expected = role === TAIL ? undefined : offset;
      if (back !== 0 && targets.get(target + back) !== expected) return { code: -16, at };
      if (role !== HEAD && role !== NEXT) continue;
      if (listed.has(`${target} ${listClass}`)) return { code: -15, at };
      listed.add(`${target} ${listClass}`);
      if (owner === 0) continue;
      const owned = role === HEAD ? offset : targets.get(offset + owner);
      if (targets.get(target + owner) !== owned) return { code: -17, at };
    }
  }
  for (const [offset, { links }] of records) {
    for (const { flag, listClass } of links) {
      if (flag === 0) continue;
      const says = view.getUint8(objects + offset + flag) !== 0;
      if (listed.has(`${offset} ${listClass}`) !== says) return { code: -19, at: offset + flag };
    }
  }
  return null;
}

function checkChains({ records, targets }: Section): RulesResult | null {
  const chains = new Map(records.map(([offset, kind]) => [offset, kind.chain]));
  for (const [start, { chain: [first = 0, second = 0] }] of records) {
    if (first === 0) continue;
    if (targets.has(start + first) && targets.has(start + second)) return { code: -18, at: start };
    const seen = new Set<number>();
    for (let at: number | undefined = start; at !== undefined;) {
      if (seen.has(at)) return { code: -18, at: start };
      seen.add(at);
      const [one = 0, other = 0]: number[] = chains.get(at) ?? [];
      at = targets.get(at + one) ?? targets.get(at + other);
    }
  }
  return null;
}
