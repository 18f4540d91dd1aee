// Whether the host has a Python with the modules that the fixtures import.

import { spawnSync } from 'node:child_process';
import { baseEnvironment } from './oracle.ts';

const modules = 'json, re, ssl, hashlib, sqlite3, threading, asyncio, ctypes, zoneinfo';

/** Why the Python programs cannot run on this host, or undefined. */
export function pythonMissing(): string | undefined {
  const result = spawnSync('/usr/bin/env', ['-i', `PATH=${baseEnvironment['PATH']}`, 'python3',
    '-c', `import ${modules}; zoneinfo.ZoneInfo("Asia/Tokyo")`]);
  return result.status === 0 ? undefined : `needs python3 with ${modules}`;
}
