#!/usr/bin/env node
// Starts the command `catavmm` where an ES module is wanted; main.cjs beside it does the work.

await import('./main.cjs');
