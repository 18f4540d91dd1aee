// What must hold between the records of an image beyond their shape, said where fields are
// declared: ranges of numbers (record.ts: within), and lists, so that walking them ends. The
// relocate module's checkRules() checks an objects section against ruleWords(), once an image and
// process.
//
//   head ─► a ─next─► b ─next─► c ◄─ tail       one record is in one list of a name at most;
//           a ◄─previous─ b ◄─previous─ c       next and previous are each other's way back
import {
  type FieldType, type Kind, kinds, type LinkRule, type NumberRange, type Rec,
} from './record.ts';

type Reference<T> = FieldType<T>;

/**
 * Where a list begins.
 * @param list its name, the same in all fields that lead to its records
 * @param owner the field in which each of its records names the one that has this head
 */
export function head<T>(type: Reference<T>, list: string, owner?: string): Reference<T> {
  return link(type, { role: 'head', list, ...(owner === undefined ? {} : { owner }) });
}

/**
 * The way to the next record of a list.
 * @param more `back`: the field that leads to the one before; `owner`: as for head(); `flag`: the
 * boolean that is true in a list and only there
 */
export function next<T>(
  type: Reference<T>, list: string, more: { back?: string; owner?: string; flag?: string } = {},
): Reference<T> {
  return link(type, { role: 'next', list, ...more });
}

/** The way back of `field`. */
export function previous<T>(type: Reference<T>, field: string): Reference<T> {
  return link(type, { role: 'previous', list: '', back: field });
}

/** Where a list ends: `field`, its way on, is null there. */
export function tail<T>(type: Reference<T>, field: string): Reference<T> {
  return link(type, { role: 'tail', list: '', back: field });
}

/** A way on which records may meet, but that ends. A kind has at most two, one of them null. */
export function chain<T>(type: Reference<T>): Reference<T> {
  return { ...type, link: { ...(type.link ?? { list: '' }), role: 'chain' } };
}

function link<T>(type: Reference<T>, rule: LinkRule): Reference<T> {
  return { ...type, link: rule };
}

const KIND_WORDS = 7;
const NUMBER_WORDS = 5;
const LINK_WORDS = 3;
/** More than all rules need; a boot makes them anew, so they are written in place. */
const RULES_WORDS = 8192;
const ROLES = { previous: 0, chain: 0, head: 1, next: 2, tail: 3 } as const;
const TYPES = { u8: 1, u16: 2, u32: 3, i32: 4, f64: 5 } as const;
const NUMBER_BYTES = { u8: 1, u16: 2, u32: 4, i32: 4, f64: 8 } as const;
const STEP_SHIFT = 8;
const ZERO_BYTES = 6;
const TAIL_LENGTH = 7;
const AT_MOST_LENGTH = 8;
const BELOW_LENGTH = 9;
const LENGTH_OFFSET = 8;

/** All rules, as checkRules() wants them (wasm/relocate.ts). */
export function ruleWords(): Uint32Array {
  return new RuleWriter().write();
}

class RuleWriter {
  readonly #words: Uint32Array = new Uint32Array(RULES_WORDS);
  readonly #view: DataView = new DataView(this.#words.buffer);
  readonly #firstRow: number = 1 + kinds.length * KIND_WORDS;
  #end: number = this.#firstRow;
  /** By target kind: the names of its lists. */
  readonly #lists: Map<number, string[]> = new Map();

  write(): Uint32Array {
    this.#words[0] = kinds.length;
    let singles = 0;
    for (let id = 0; id < kinds.length; id++) {
      const kind = kinds[id];
      if (kind === undefined) continue;
      const at = 1 + id * KIND_WORDS;
      this.#words[at] = kind.fixedBytes;
      this.#words[at + 1] = kind.isSingle ? ++singles : 0;
      this.#words[at + 3] = this.#end - this.#firstRow;
      this.#words[at + 2] = this.#writeNumbers(kind);
      this.#words[at + 5] = this.#end - this.#firstRow;
      this.#words[at + 4] = this.#writeLinks(kind);
      this.#words[at + 6] = chainOf(kind);
    }
    return this.#words.subarray(0, this.#end);
  }

  /** Returns how many rows there are. */
  #writeNumbers(kind: Kind<Rec>): number {
    const first = this.#end;
    if (kind.pieceBytes > 0) this.#addNumber(LENGTH_OFFSET, TAIL_LENGTH, 0, kind.pieceBytes);
    for (const { offset, type: field } of kind.fields) {
      const { range, bound, save } = field;
      if (save === 'zero') this.#addNumber(offset, ZERO_BYTES, 0, field.bytes);
      if (save !== 'copy') continue;
      if (bound !== undefined) {
        const type = bound.isBelow ? BELOW_LENGTH : AT_MOST_LENGTH;
        this.#addNumber(offset, type, 0, kind.offset(bound.field as never));
      }
      if (range === undefined || isWhole(range)) continue;
      const type = TYPES[range.type] | Math.log2(range.step ?? 1) << STEP_SHIFT;
      for (let at = offset; at < offset + field.bytes; at += NUMBER_BYTES[range.type]) {
        this.#addNumber(at, type, range.least, range.most);
      }
    }
    return (this.#end - first) / NUMBER_WORDS;
  }

  #addNumber(offset: number, type: number, least: number, most: number): void {
    const at = this.#end * 4;
    this.#words[this.#end] = offset | type << 16;
    this.#view.setFloat64(at + 4, least, true);
    this.#view.setFloat64(at + 12, most, true);
    this.#end += NUMBER_WORDS;
  }

  #writeLinks(kind: Kind<Rec>): number {
    const first = this.#end;
    for (const { offset, type } of kind.fields) {
      const { link: rule } = type;
      if (rule === undefined || (rule.role === 'chain' && rule.back === undefined)) continue;
      const target = type.target?.();
      if (target === undefined) throw new Error('a link needs a target of one kind');
      const place = (name: string | undefined): number =>
        name === undefined ? 0 : target.offset(name as never);
      this.#words[this.#end] = offset | place(rule.back) << 16;
      this.#words[this.#end + 1] =
        this.#numberOf(target.id, rule.list) | ROLES[rule.role] << 8 | place(rule.owner) << 16;
      this.#words[this.#end + 2] = place(rule.flag);
      this.#end += LINK_WORDS;
    }
    return (this.#end - first) / LINK_WORDS;
  }

  /** The number of a list among those of its kind. */
  #numberOf(target: number, list: string): number {
    if (list === '') return 0;
    const names = this.#lists.get(target) ?? [];
    const found = names.indexOf(list);
    if (found >= 0) return found;
    this.#lists.set(target, [...names, list]);
    return names.length;
  }
}

/** Whether a range is all that its type can hold. */
function isWhole({ type, least, most, step = 1 }: NumberRange): boolean {
  return type !== 'f64' && step === 1 && most - least === 2 ** (8 * NUMBER_BYTES[type]) - 1;
}

function chainOf(kind: Kind<Rec>): number {
  const fields = kind.fields.filter(({ type }) => type.link?.role === 'chain');
  const offsets = fields.map(({ offset }) => offset);
  // At offset 0, a record's header, no reference is.
  const [first = 0, second = 0] = offsets;
  return first | second << 16;
}
