/** Who serves reads: `'split'` the replicas; `'primary'` the primary; `'observe'` the primary, and what would have been is counted. */
export type Mode = 'split' | 'primary' | 'observe'

/** Where reads would have gone while an operator had the primary serve them: how many by node. */
export type Observed = Readonly<Record<string, number>>

/** What an operator has said of one cluster; it outlives the databases that are opened and destroyed. */
export class Operator {
  mode: Mode = 'split'
  /** Which part of the requests may read from replicas, from 0 to 1. */
  replicaShare = 1
  readonly drained = new Set<string>()
  readonly #observed = new Map<string, number>()

  get observed(): Observed {
    return Object.fromEntries(this.#observed)
  }

  observe(node: string): void {
    this.#observed.set(node, (this.#observed.get(node) ?? 0) + 1)
  }
}
