// layout: what a checkpoint does to page tables and frames before they become a func-image.
//
//   mark, markWords            which frames are in use, and how
//   zeroMap                    which of them hold only zeros
//   number, numberRest         the order in which the image stores them
//   pack, rewriteWords         tables and frame ids in terms of that order
//   collectDirty               the write set of a first boot
//
// No data segments, no allocation: all memory belongs to the caller.

export { mark, number, collectDirty } from "./walk";
export { markWords, numberRest, rewriteWords } from "./words";
export { isZeroPage, zeroMap } from "./zero";
export { pack } from "./pack";
export { readFaultAt } from "./pte";
