// A template: a sandbox that was quiesced and whose state lies in memory, to be forked (sfork;
// paper, section 4). Frames that its sandbox had made its own are copied into a sealed anonymous
// file, which becomes one more layer over those it came from; records and tables into the state
// memory.
//
// Threads need no help: each is a record that says where it waits, so that a fork of a program with
// many threads is a copy like any other.
import * as fs from 'node:fs';
import { createMemfd, sealMemfd } from '../../host/memfd.ts';
import { giveRegion, type Region, takeRegion, u8 } from '../../kernel/state/memory.ts';
import { takeCheckpoint, type Checkpoint } from '../build/checkpoint.ts';
import { writeFrames } from '../build/write-frames.ts';
import type { Piece } from '../image/image-records.ts';
import type { Instance } from '../run/instance.ts';
import { dropIoCaches } from './io-cache.ts';
import { layersOf } from '../build/same-frames.ts';
import { closeLayers, duplicateLayers, type FrameLayer, type Snapshot } from './snapshot.ts';
import { whenUnused } from './snapshot-users.ts';
import { requireTemplatable } from '../build/template-rules.ts';
import { dropWriteSet } from './write-sets.ts';

export interface TemplateState extends Snapshot {
  readonly region: Region;
}

const ALIGNMENT = 4096;

let count = 0;

/**
 * Makes a template of a sandbox that is not running just now. The sandbox may go on.
 * @param origin the snapshot that the sandbox was made of
 * @throws HostError, CatavmmError when it made a call that templates may not make
 */
export function makeTemplate(instance: Instance, origin: Snapshot): TemplateState {
  const { k, runner } = instance;
  requireTemplatable(k);
  runner.parkThread();
  const checkpoint = takeCheckpoint(k, undefined, layersOf(origin));
  const layers: FrameLayer[] = duplicateLayers(origin.layers);
  try {
    if (checkpoint.frameOrder.length > 0) layers.push(copyFrames(checkpoint));
    return describe(checkpoint, origin, layers);
  } catch (error) {
    closeLayers(layers);
    throw error;
  }
}

/** Gives a template back, once its forks have ended. */
export function closeTemplate(template: TemplateState): void {
  whenUnused(template, () => {
    dropWriteSet(template);
    dropIoCaches(template);
    closeLayers(template.layers);
    giveRegion(template.region);
  });
}

function copyFrames(checkpoint: Checkpoint): FrameLayer {
  const { frameOrder } = checkpoint;
  const fd = createMemfd();
  try {
    writeFrames(fd, checkpoint, 0);
    sealMemfd(fd);
    return { fd, offset: 0, frames: frameOrder.length, path: null, stamp: null };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

function describe(
  checkpoint: Checkpoint, origin: Snapshot, layers: readonly FrameLayer[],
): TemplateState {
  const { objects, relations, tables } = checkpoint;
  const parts = [
    objects, new Uint8Array(relations.buffer, relations.byteOffset, relations.byteLength), tables,
  ];
  const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  const region = takeRegion(parts.reduce((sum, part) => sum + aligned(part.length), 0));
  let at = region.address;
  const [objectsPiece, relationsPiece, tablesPiece] = parts.map((part): Piece => {
    u8.set(part, at);
    const piece = { address: at, bytes: part.length };
    at += aligned(part.length);
    return piece;
  }) as [Piece, Piece, Piece];
  return {
    identity: `template ${++count}`,
    region, layers,
    baseFrames: layers.reduce((sum, layer) => sum + layer.frames, 0),
    base: origin.base,
    program: origin.program,
    objects: objectsPiece,
    relations: relationsPiece,
    tables: tablesPiece,
    // Of several processes, a frame that was hot may have come to be several's.
    hot: layers.length === origin.layers.length && checkpoint.spaces === 1 ? origin.hot : null,
    root: 0,
    cpu: origin.cpu,
    limitBytes: origin.limitBytes,
    rootfs: origin.rootfs,
  };
}
