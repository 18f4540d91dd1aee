// Pages that a boot copies along although it does not touch them, because that is cheaper than
// leaving them out: KVM maps the neighbours of a page that is touched, from the beginning of their
// aligned group of eight on, and stops at the first one it cannot map; of the base window it maps
// none. So one page of the image between two copies costs a shadow fault (decision 0009).

/** Pages that KVM looks at when one of them is touched (PTE_PREFETCH_NUM in Linux). */
export const GROUP_PAGES = 8;
/** A shadow fault costs as much as copying this many pages and more: 1.7 to 2 µs, and 0.4. */
const COPIES_PER_FAULT = 3;

/** Anything that knows virtual page numbers. */
interface Pages {
  has(vpn: number): boolean;
}

/**
 * The spare pages worth copying: those without which more faults are left than they cost.
 * @param touched virtual page numbers that are copied anyway
 * @param spare those that can be
 */
export function pagesToFill(touched: ReadonlySet<number>, spare: Pages): number[] {
  const filled: number[] = [];
  const groups = new Set<number>();
  for (const vpn of touched) groups.add(Math.floor(vpn / GROUP_PAGES));
  for (const group of groups) {
    const candidates = between(group * GROUP_PAGES, touched, spare);
    const all: Pages = { has: (vpn) => touched.has(vpn) || candidates.includes(vpn) };
    const saved = faultsOf(group * GROUP_PAGES, touched, touched)
      - faultsOf(group * GROUP_PAGES, touched, all);
    if (saved * COPIES_PER_FAULT >= candidates.length) filled.push(...candidates);
  }
  return filled;
}

/** The spare pages of a group before its last touched one. */
function between(first: number, touched: Pages, spare: Pages): number[] {
  let end = first + GROUP_PAGES;
  while (!touched.has(end - 1)) end--;
  const found: number[] = [];
  for (let vpn = first; vpn < end; vpn++) if (!touched.has(vpn) && spare.has(vpn)) found.push(vpn);
  return found;
}

/** Shadow faults of a group whose touched pages are used in any order; `copied` are in the bank. */
function faultsOf(first: number, touched: Pages, copied: Pages): number {
  let faults = 0;
  let isTogether = true;
  let areTogether = 0;
  for (let vpn = first; vpn < first + GROUP_PAGES; vpn++) {
    isTogether &&= copied.has(vpn);
    if (!touched.has(vpn)) continue;
    if (isTogether) areTogether = 1;
    else faults++;
  }
  return faults + areTogether;
}
