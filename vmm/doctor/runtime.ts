// Whether the JavaScript runtime and koffi are such as catavmm needs.
import { arch, platform } from 'node:os';
import { getRuntime, type RuntimeName } from '../host/runtime.ts';
import { type Check, makeChecks } from './check.ts';

const check = makeChecks('runtime');

/** Oldest versions on which everything works. */
const oldest: Readonly<Record<RuntimeName, string>> = {
  node: '20.19.0', bun: '1.4.5', deno: '2.9.0',
};
/** Why an older one is refused, where that is known. */
const reasons: Readonly<Partial<Record<RuntimeName, string>>> = {
  bun: 'Earlier versions crash in native calls when memory is collected',
};

/** Whether dotted version `version` comes before `other`; what follows a dash does not count. */
export function isOlder(version: string, other: string): boolean {
  const parts = (text: string): number[] => text.split('-')[0]?.split('.').map(Number) ?? [];
  const [left, right] = [parts(version), parts(other)];
  for (let index = 0; index < 3; index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** The row for a runtime of this name and version. */
export function checkRuntimeVersion(name: RuntimeName, version: string): Check {
  const wanted = oldest[name];
  if (!isOlder(version, wanted)) return check('runtime', 'ok', `${name} ${version}`);
  const why = reasons[name] === undefined ? '' : `${reasons[name]}. `;
  const hint = `${why}Install ${name} ${wanted} or later.`;
  return check('runtime', 'bad', `${name} ${version}`, hint);
}

/** A module of one function that returns an i8x16 constant's lane: `i8x16.splat; extract_lane`. */
const simdModule: Uint8Array<ArrayBuffer> = Uint8Array.of(
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // magic, version
  0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7f, // type: () -> i32
  0x03, 0x02, 0x01, 0x00, // one function of it
  0x0a, 0x0b, 0x01, 0x09, 0x00, 0x41, 0x01, 0xfd, 0x0f, 0xfd, 0x15, 0x00, 0x0b, // its code
);

function checkSimd(): Check {
  if (WebAssembly.validate(simdModule)) return check('WebAssembly SIMD', 'ok', 'yes');
  return check('WebAssembly SIMD', 'bad', 'no', 'Use a runtime and a CPU with WebAssembly SIMD.');
}

function checkPlatform(): Check {
  const value = `${platform()} ${arch()}`;
  if (value === 'linux x64') return check('platform', 'ok', value);
  return check('platform', 'bad', value, 'catavmm needs Linux on x86-64.');
}

/** Loads koffi, which may be missing: it is the first to import vmm/host/libc.ts. */
async function checkKoffi(): Promise<Check> {
  try {
    const { lastErrno } = await import('../host/libc.ts');
    lastErrno();
    return check('koffi', 'ok', 'its binary is loaded');
  } catch (error) {
    const message = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return check('koffi', 'bad', message ?? 'cannot be loaded',
      'Install without --omit=optional: the binary is in a package of its own (@koromix/koffi-…).');
  }
}

/** The rows on the runtime. */
export async function probeRuntime(): Promise<Check[]> {
  const { name, version } = getRuntime();
  return [checkRuntimeVersion(name, version), checkPlatform(), checkSimd(), await checkKoffi()];
}
