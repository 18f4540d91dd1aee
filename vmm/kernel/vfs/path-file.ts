// FILE_PATH: descriptors opened with O_PATH. They name a place and can do nothing else: getFile()
// does not find them, so these operations are only reached by calls that take any descriptor.
import { FILE_PATH } from '../records/vfs.ts';
import { POLLNVAL } from '../../abi/poll.ts';
import { defineFileOps } from './file-ops.ts';

defineFileOps(FILE_PATH, {
  seekable: false,
  poll: () => POLLNVAL,
  queue: () => null,
});
