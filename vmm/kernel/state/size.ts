// How large this thread's state memory is. JavaScript engines take it for memory that their heap
// holds on to: 2 GiB make V8 collect its garbage twice while a process starts, which takes as long
// as a boot. A process that has one sandbox does with less.

/** Below 2 GiB, so that addresses are positive as signed numbers too. */
const MANY_SANDBOXES = 0x7fff_0000;
/** An arena of 64 MiB, tables of 16 and what an image has, several times over. */
const ONE_SANDBOX = 0x2000_0000;

let bytes: number = MANY_SANDBOXES;

/** Says that this process will have one sandbox: without effect once memory.ts has been loaded. */
export function expectOneSandbox(): void {
  bytes = ONE_SANDBOX;
}

/** The size of the state memory that memory.ts makes. */
export function stateBytes(): number {
  return bytes;
}
