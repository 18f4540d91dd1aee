// Where the reference counts of an objects section are.
import '../../vmm/kernel/records/index.ts';
import { Pipe } from '../../vmm/kernel/records/ipc.ts';
import { kinds } from '../../vmm/kernel/state/record.ts';

export interface Count {
  /** Offsets of the record, and of the number in it. */
  record: number;
  count: number;
  value: number;
}

/** The counts of all records, in their order. */
export function listCounts(objects: Uint8Array): Count[] {
  const view = new DataView(objects.buffer, objects.byteOffset, objects.length);
  const found: Count[] = [];
  for (let at = 0; at < objects.length; at += view.getUint32(at + 4, true)) {
    const kind = kinds[view.getUint16(at, true)];
    const counts = kind?.fields.filter(({ type }) => type.counts === true) ?? [];
    const places = counts.map(({ offset }) => at + offset);
    if (kind?.id === Pipe.id) {
      places.push(at + Pipe.offset('readers'), at + Pipe.offset('writers'));
    }
    found.push(...places.map((count) => (
      { record: at, count, value: view.getUint32(count, true) })));
  }
  return found;
}
