// Sizes as users write them.
import { CatavmmError } from './errors.ts';

const UNITS: Readonly<Record<string, number>> = {
  '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, ki: 1024, mi: 1024 ** 2, gi: 1024 ** 3,
};

/** Guest memory unless told otherwise. */
export const DEFAULT_MEMORY_BYTES: number = 512 * 1024 * 1024;
const SMALLEST_BYTES = 4 * 1024 * 1024;
const LARGEST_BYTES = 4 * 1024 ** 3 - 2 * 1024 * 1024;

/**
 * Bytes of a memory limit: a number, or text such as '512m', '512Mi', '1g'.
 * @throws CatavmmError when it is no size, or outside 4 MiB … 4 GiB
 */
export function parseMemory(size: number | string | undefined): number {
  if (size === undefined) return DEFAULT_MEMORY_BYTES;
  const bytes = typeof size === 'number' ? size : parseText(size);
  if (!isMemoryLimit(bytes)) {
    throw new CatavmmError(
      'CATAVMM_OPTION',
      `The memory limit ${size} is not between 4 MiB and 4 GiB.`,
      'Write for instance 512m or 2g.',
    );
  }
  return Math.ceil(bytes / 4096) * 4096;
}

/** Whether a guest can have so much memory. */
export function isMemoryLimit(bytes: number): boolean {
  return Number.isSafeInteger(bytes) && bytes >= SMALLEST_BYTES && bytes <= LARGEST_BYTES;
}

function parseText(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([a-z]*?)b?$/i.exec(text.trim());
  const unit = UNITS[(match?.[2] ?? 'none').toLowerCase()];
  return match === null || unit === undefined ? NaN : Math.floor(Number(match[1]) * unit);
}
