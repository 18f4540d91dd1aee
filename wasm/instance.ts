// What the three wrappers share: decoding and compiling a module once, and range checks.
//
// Everything here is a web standard, so that the package's `catavmm/wasm` also loads in a browser.
// The modules are below 4 KiB, which every browser compiles synchronously.

/** Why hostile data was refused. */
export interface Fault {
  /** Negative; one of the module's codes. */
  code: number;
  /** What it is about, in the unit that `sentence` names. */
  at: number;
  /** One plain English sentence without a full stop. */
  sentence: string;
}

/** Returns a function that compiles the module at its first call and then always returns it. */
export function compileLazily(base64: string): () => WebAssembly.Module {
  let module: WebAssembly.Module | undefined;
  return () => (module ??= new WebAssembly.Module(decodeBase64(base64)));
}

/** The bytes of a base64 text. */
export function decodeBase64(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

/** An instance of a module over the caller's memory. Nothing is written to the memory. */
export function instantiate<T>(module: WebAssembly.Module, memory: WebAssembly.Memory): T {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as T;
}

/** Throws RangeError unless [address, address + bytes) lies in the memory. */
export function checkRange(
  memory: WebAssembly.Memory, what: string, address: number, bytes: number,
): void {
  const isInside = Number.isInteger(address) && Number.isInteger(bytes) && address >= 0 &&
    bytes >= 0 && address + bytes <= memory.buffer.byteLength;
  if (isInside) return;
  throw new RangeError(`${what}: ${bytes} bytes at ${address} are not inside the memory`);
}

/** Throws RangeError unless the value is a u32: WebAssembly would silently take it modulo 2^32. */
export function checkU32(what: string, value: number): void {
  if (value >>> 0 !== value) throw new RangeError(`${what} is not a u32: ${value}`);
}
