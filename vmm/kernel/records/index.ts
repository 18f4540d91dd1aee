// Loads every record kind, so that the registry (state/record.ts `kinds`) is complete.
export * from './sandbox.ts';
export * from './task.ts';
export * from './mm.ts';
export * from './vfs.ts';
export * from './inotify.ts';
export * from './ipc.ts';
export * from './pidfd.ts';
export * from './pty.ts';
export * from './time.ts';
export { Bytes, Words } from '../state/containers.ts';
