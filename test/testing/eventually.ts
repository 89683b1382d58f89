import { setTimeout as nextLook } from 'node:timers/promises'

/** Looks until it is so; the test's own time limit is the bound. */
export async function eventually(isSo: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isSo())) await nextLook(5)
}
