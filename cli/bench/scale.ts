// The axis of a figure: where a value lies, and which values are marked.

/** From so great a ratio of the greatest to the least value on, an axis is logarithmic. */
const LOG_FROM = 30;

export interface Scale {
  isLog: boolean;
  /** 0 at the left end, 1 at the right. */
  place(value: number): number;
  /** Marked values, ascending, the ends included. */
  ticks: number[];
}

/** The largest of 1, 2, 5 times a power of ten that is at most `value`. Precondition: value > 0. */
export function roundDown(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const digit = [5, 2, 1].find((step) => step * power <= value * (1 + 1e-9)) ?? 1;
  return digit * power;
}

/** The smallest of them that is at least `value`. */
export function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const digit = [1, 2, 5, 10].find((step) => step * power >= value * (1 - 1e-9)) ?? 10;
  return digit * power;
}

/** An axis for positive values: from 0, or logarithmic where they span decades. */
export function makeScale(values: readonly number[]): Scale {
  const positive = values.filter((value) => value > 0);
  const most = positive.length === 0 ? 1 : Math.max(...positive);
  const least = positive.length === 0 ? 1 : Math.min(...positive);
  return most / least >= LOG_FROM ? logarithmic(least, most) : linear(most);
}

function linear(most: number): Scale {
  const step = roundUp(most / 5);
  const end = Math.ceil(most / step - 1e-9) * step;
  const count = Math.round(end / step);
  return {
    isLog: false,
    place: (value) => Math.min(1, Math.max(0, value / end)),
    ticks: Array.from({ length: count + 1 }, (_, index) => index * step),
  };
}

function logarithmic(least: number, most: number): Scale {
  const from = Math.floor(Math.log10(least) + 1e-9);
  const to = Math.ceil(Math.log10(most) - 1e-9);
  const place = (value: number): number => value <= 0 ? 0
    : Math.min(1, Math.max(0, (Math.log10(value) - from) / (to - from)));
  return {
    isLog: true, place,
    ticks: Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index)),
  };
}
