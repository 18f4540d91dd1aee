#!/usr/bin/env node
// The `catavmm` command. Everything it writes is written when runCli() is done, so the process
// ends at once instead of waiting for what the runtime may still keep alive.

import process from 'node:process';
import { runCli } from './cli.ts';

process.exit(await runCli(process.argv.slice(2), process.env));
