// The baseline (baseline.ts) of an image that is not open yet: prepared beforehand, so that the
// boot that is measured opens the image itself.
import type { BaselineOptions } from '../../options.ts';
import { type Baseline, makeBaseline } from '../restore/baseline.ts';
import { useImage } from './image-open.ts';

/** @throws ImageError, CfiError as the boot would */
export function makeImageBaseline(path: string, options: BaselineOptions): Baseline {
  return useImage(path, (image) => makeBaseline(image, options));
}
