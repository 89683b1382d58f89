/** The node that the reads of one cluster keep to; a request has one cluster, rarely two. Plain data. */
export interface KeptNode {
  readonly cluster: string
  /** The dialect's own. */
  node: object
  readonly next: KeptNode | undefined
}

/** What remembers the nodes that its reads keep to. */
interface Keeper {
  kept: KeptNode | undefined
}

/** The node that the reads of `cluster` keep to. */
export function keptNode(keeper: Keeper, cluster: string): object | undefined {
  for (let kept = keeper.kept; kept !== undefined; kept = kept.next) {
    if (kept.cluster === cluster) return kept.node
  }
  return undefined
}

/** Has the reads of `cluster` keep to a node from now on. */
export function keepTo(keeper: Keeper, cluster: string, node: object): void {
  for (let kept = keeper.kept; kept !== undefined; kept = kept.next) {
    if (kept.cluster !== cluster) continue
    kept.node = node
    return
  }
  keeper.kept = { cluster, node, next: keeper.kept }
}
