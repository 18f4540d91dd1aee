// Writes a report to files: one page, or a picture per figure.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from '../errors.ts';
import { drawFigure, figureFile, unitsOf } from './figure.ts';
import type { BenchReport } from './mod.ts';
import { makePage } from './page.ts';

/** @throws CommandError when the file cannot be written */
export function savePage(path: string, report: BenchReport): void {
  save(path, () => writeFileSync(path, makePage(report)));
}

/** Writes NAME-UNIT.svg for each figure. @throws CommandError when one cannot be written */
export function saveFigures(directory: string, report: BenchReport): void {
  save(directory, () => {
    mkdirSync(directory, { recursive: true });
    for (const { name, title, rows } of report.experiments) {
      for (const unit of unitsOf(rows)) {
        const svg = figureFile(drawFigure(`${name}: ${title}`, rows, unit));
        writeFileSync(join(directory, `${name}-${unit}.svg`), `${svg}\n`);
      }
    }
  });
}

function save(path: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError('CATAVMM_REPORT', `${path} cannot be written: ${reason}`);
  }
}
