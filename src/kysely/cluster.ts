import { type RouteReason, routeChannel } from '../diagnostics.ts'
import { WritePinningError } from '../errors.ts'
import { type RoutingContext, requirementHere } from '../routing/context.ts'
import type { Requirement } from '../routing/requirement.ts'
import type { Statement, StatementClassifier } from '../sql/classifier.ts'
import type { ContextWatch } from './context-watch.ts'
import type { FunctionWatch } from './function-watch.ts'
import type { Mark } from './marks.ts'
import type { NodeDriver } from './node-driver.ts'

/** Where one statement goes, and why. */
export interface Route {
  readonly node: NodeDriver
  readonly reason: RouteReason
}

/** The nodes of one dialect, and the choice among them. */
export class Cluster {
  readonly name: string
  readonly primary: NodeDriver
  readonly replicas: readonly NodeDriver[]
  readonly classifier: StatementClassifier
  readonly #withoutContext: Requirement
  readonly #watch: ContextWatch
  readonly #functions: FunctionWatch
  #turn = 0

  constructor(parts: {
    readonly name: string
    readonly primary: NodeDriver
    readonly replicas: readonly NodeDriver[]
    readonly classifier: StatementClassifier
    readonly withoutContext: 'primary' | 'replica'
    readonly watch: ContextWatch
    readonly functions: FunctionWatch
  }) {
    this.name = parts.name
    this.primary = parts.primary
    this.replicas = parts.replicas
    this.classifier = parts.classifier
    this.#withoutContext = {
      kind: parts.withoutContext === 'replica' ? 'any' : 'primary',
      reason: 'no-context',
    }
    this.#watch = parts.watch
    this.#functions = parts.functions
  }

  get nodes(): readonly NodeDriver[] {
    return [this.primary, ...this.replicas]
  }

  /** What a read demands in this context. */
  requirementOf(context: RoutingContext | undefined): Requirement {
    const requirement = requirementHere(context, this.name)
    if (requirement !== undefined) return requirement
    if (context === undefined) this.#watch.sawReadWithoutContext()
    return this.#withoutContext
  }

  /** The route of a statement on a connection that is bound to no node. */
  routeOf(statement: Statement, context: RoutingContext | undefined, mark?: Mark): Route {
    if (mark === 'to-primary') return { node: this.primary, reason: 'mark' }
    if (mark === 'to-replica' && MARKABLE.has(statement.kind)) return this.routeOfRead(MARKED_TO_REPLICA)
    if (statement.kind !== 'read') return this.#routeToPrimary(statement, context)
    return this.routeOfRead(this.requirementOf(context))
  }

  /** The route of a read: it needs no node in particular, but one that meets the requirement. */
  routeOfRead(requirement: Requirement): Route {
    if (requirement.kind === 'primary' || requirement.kind === 'atLeast')
      return { node: this.primary, reason: requirement.reason }
    if (requirement.kind === 'named')
      return { node: this.#nodeNamed(requirement.node), reason: requirement.reason }
    const replica = this.#nextReplica()
    if (replica === undefined) return { node: this.primary, reason: 'no-replica' }
    return { node: replica, reason: requirement.reason }
  }

  /** Whether `node` will do for a read with this requirement. */
  meets(node: NodeDriver, requirement: Requirement): boolean {
    if (requirement.kind === 'any') return true
    if (requirement.kind === 'primary' || requirement.kind === 'atLeast') return node === this.primary
    return node.name === requirement.node
  }

  /** Refuses, inside `useNode()` with a replica's name, what only the primary can do. */
  refuseOnReplica(reason: 'locking' | 'transaction' | 'write', context: RoutingContext | undefined): void {
    const node = this.#nodeInUse(context)
    if (node === undefined || node === this.primary) return
    throw new WritePinningError(
      'ERR_WRITE_PINNING_WRITE_ON_REPLICA',
      `${WHAT[reason]} was to run on '${node.name}', which is a replica of cluster '${this.name}': it was not sent. ` +
        'Run it outside `useNode()`, or inside `usePrimary()`.',
    )
  }

  /** The route of a statement that only the primary can do, or only the primary should. */
  #routeToPrimary(statement: Statement, context: RoutingContext | undefined): Route {
    const reason = statement.kind as Exclude<Statement['kind'], 'read'>
    if (reason === 'write' || reason === 'locking') {
      this.refuseOnReplica(reason, context)
      return { node: this.primary, reason }
    }
    // What the server alone can judge, and what is the session's own, is `useNode()`'s to ask for by name.
    const node = this.#nodeInUse(context)
    if (node !== undefined) return { node, reason: 'use-node' }
    if (reason === 'function' && context !== undefined) this.#functions.keptFromReplica(statement.blocker)
    return { node: this.primary, reason }
  }

  /** The node that a surrounding `useNode()` names; a route's `readFrom` names one for its reads only. */
  #nodeInUse(context: RoutingContext | undefined): NodeDriver | undefined {
    const override = context?.override
    if (override?.kind !== 'named' || override.reason !== 'use-node') return undefined
    return this.#nodeNamed(override.node)
  }

  publish(route: Route, statement: Statement, sql: string): void {
    if (!routeChannel.hasSubscribers) return
    routeChannel.publish({
      cluster: this.name,
      node: route.node.name,
      role: route.node.role,
      reason: route.reason,
      write: statement.countsAsWrite,
      sql,
    })
  }

  #nextReplica(): NodeDriver | undefined {
    if (this.replicas.length === 0) return undefined
    this.#turn = (this.#turn + 1) % this.replicas.length
    return this.replicas[this.#turn]
  }

  #nodeNamed(name: string): NodeDriver {
    const node = this.nodes.find((each) => each.name === name)
    if (node !== undefined) return node
    throw new WritePinningError(
      'ERR_WRITE_PINNING_UNKNOWN_NODE',
      `Cluster '${this.name}' has no node called '${name}'; it has ${this.nodes.map((each) => `'${each.name}'`).join(', ')}.`,
    )
  }
}

const MARKED_TO_REPLICA: Requirement = { kind: 'any', reason: 'mark' }
// What a mark may send to a replica: not what writes or locks by its syntax, nor what is the session's.
const MARKABLE: ReadonlySet<Statement['kind']> = new Set(['read', 'function', 'primary-table'])

const WHAT = {
  locking: 'A read that locks rows',
  transaction: "A transaction, which is none with `setAccessMode('read only')`,",
  write: 'A write',
}
