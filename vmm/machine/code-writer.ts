// Writes machine code with jumps to labels: the stub has more of them than one likes to count.

interface Jump {
  /** Where its rel32 stands. */
  at: number;
  label: string;
}

export class CodeWriter {
  readonly #bytes: number[] = [];
  readonly #labels: Map<string, number> = new Map();
  readonly #jumps: Jump[] = [];

  /** Appends bytes. */
  put(...bytes: readonly number[]): void {
    this.#bytes.push(...bytes);
  }

  /** Appends bytes and a 32-bit immediate or displacement. */
  put32(bytes: readonly number[], value: number): void {
    this.put(...bytes, value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24);
  }

  /** Names the place that comes next. */
  label(name: string): void {
    this.#labels.set(name, this.#bytes.length);
  }

  /** Appends a jump of form `opcode rel32`. */
  jump(opcode: readonly number[], label: string): void {
    this.put32(opcode, 0);
    this.#jumps.push({ at: this.#bytes.length - 4, label });
  }

  /** Offset of a label in the code. @throws Error when there is none */
  offsetOf(label: string): number {
    const offset = this.#labels.get(label);
    if (offset === undefined) throw new Error(`no label ${label}`);
    return offset;
  }

  /** The code, with all jumps resolved. */
  finish(): Uint8Array {
    const code = Uint8Array.from(this.#bytes);
    const view = new DataView(code.buffer);
    for (const { at, label } of this.#jumps) {
      view.setInt32(at, this.offsetOf(label) - at - 4, true);
    }
    return code;
  }
}
