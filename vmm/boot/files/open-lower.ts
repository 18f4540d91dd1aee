// The host's side of a guest's files: its rootfs and its volumes.
import type { CfiRootfs } from '../../../formats/cfi/header.ts';
import { CatavmmError } from '../../errors.ts';
import { HostRoot } from '../../host/files.ts';
import type { LowerFs } from '../../kernel/ports.ts';
import type { Volume } from '../../options.ts';
import { makeLowerFs } from '../run/host-ports.ts';
import { ImageError, showName } from '../image/image-error.ts';
import { addVolumes, openVolume, type OpenVolume } from './volumes.ts';

/**
 * Opens the rootfs and the volumes, and adds what it opens to `roots`, which are to be closed.
 * @param onMissing throws, or leaves the volume empty
 */
export function openLower(
  roots: HostRoot[],
  rootfs: string,
  volumes: readonly Volume[],
  onMissing: (volume: Volume) => void,
): LowerFs {
  const open = (directory: string): HostRoot => {
    const root = new HostRoot(directory);
    roots.push(root);
    return root;
  };
  const root = makeLowerFs(open(rootfs));
  return addVolumes(root, volumes.map((volume): OpenVolume | null => {
    const opened = openVolume(volume.source, open);
    if (opened === null) onMissing(volume);
    return opened;
  }));
}

/** A program's volume has to be there. */
export function missingSource({ source }: Volume): never {
  throw new CatavmmError('CATAVMM_OPTION', `The volume's source ${source} does not exist.`);
}

/** A self-contained image needs no volume either. */
export function missingVolume({ selfContained }: CfiRootfs): (volume: Volume) => void {
  return ({ source, target }) => {
    if (selfContained) return;
    const [from, to] = [showName(source), showName(target)];
    throw new ImageError(
      'volume', `The func-image shows ${from} as ${to}, and there is no ${from} here.`,
    );
  };
}
