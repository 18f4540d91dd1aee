// inotify(7): instances, what they watch, and the events that nobody has read yet.
//
//   Inotify ─ watches ─► Table<InotifyWatch> ─ inode ─► Inode ─ watches ─► … ─ nextOfInode ─► …
//     └ firstEvent ─► InotifyEvent ─ next ─► … ◄─ lastEvent
import { Bytes, type Table, tableKind } from '../state/containers.ts';
import { KIND } from '../state/kinds.ts';
import {
  fI32, fMust, fRef, fU32, held, kind, type Kind, type Rec, within,
} from '../state/record.ts';
import { head, next, tail } from '../state/rules.ts';
import { WaitQueue } from './task.ts';
import { Inode } from './vfs.ts';

export interface Inotify extends Rec {
  queue: WaitQueue;
  watches: Table<InotifyWatch>;
  /** Watch descriptors are not used again. */
  nextWd: number;
  firstEvent: InotifyEvent | null;
  lastEvent: InotifyEvent | null;
  eventCount: number;
  /** IN_Q_OVERFLOW comes after so many of the events; -1 = none was lost. */
  overflowAfter: number;
}

export const Inotify: Kind<Inotify> = kind<Inotify>(KIND.inotify, 'Inotify', {
  queue: fMust(() => WaitQueue),
  watches: fMust(() => InotifyWatchTable),
  nextWd: within(fI32, 1, 2 ** 31 - 1),
  firstEvent: head(fRef(() => InotifyEvent), 'events'),
  lastEvent: tail(fRef(() => InotifyEvent), 'next'),
  eventCount: fU32,
  overflowAfter: within(fI32, -1, 2 ** 31 - 1),
});

/** One watch: an instance is told what happens to an inode, and below it when it is a directory. */
export interface InotifyWatch extends Rec {
  inotify: Inotify;
  inode: Inode;
  wd: number;
  /** IN_* events asked for, with IN_ONESHOT and IN_EXCL_UNLINK. */
  mask: number;
  /** Next watch of the same inode. */
  nextOfInode: InotifyWatch | null;
  /** Where it is in `inotify.watches`. */
  index: number;
}

export const InotifyWatch: Kind<InotifyWatch> = kind<InotifyWatch>(
  KIND.inotifyWatch,
  'InotifyWatch',
  {
    inotify: fMust(() => Inotify),
    inode: held(fMust(() => Inode)),
    wd: fI32,
    mask: fU32,
    nextOfInode: next(fRef(() => InotifyWatch), 'inode', { owner: 'inode' }),
    index: fU32,
  },
);

export const InotifyWatchTable: Kind<Table<InotifyWatch>> =
  tableKind(KIND.inotifyWatchTable, 'InotifyWatchTable', () => InotifyWatch);

/** A `struct inotify_event` to be read. */
export interface InotifyEvent extends Rec {
  next: InotifyEvent | null;
  wd: number;
  mask: number;
  cookie: number;
  /** Of an entry of a watched directory; null for the watched inode itself. */
  name: Bytes | null;
}

export const InotifyEvent: Kind<InotifyEvent> = kind<InotifyEvent>(
  KIND.inotifyEvent,
  'InotifyEvent',
  {
    next: next(fRef(() => InotifyEvent), 'events'),
    wd: fI32,
    mask: fU32,
    cookie: fU32,
    name: fRef(() => Bytes),
  },
);
