import { warn } from '../diagnostics.ts'

/** Tells the operator something once for each `owner`. */
export function warnOnce(owner: object, code: string, message: string): void {
  const codes = warned.get(owner) ?? new Set()
  if (codes.has(code)) return
  warned.set(owner, codes.add(code))
  warn(code, message)
}

const warned = new WeakMap<object, Set<string>>()
