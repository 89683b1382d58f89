import { routeChannel, warn } from '../diagnostics.ts'
import { WritePinningError } from '../errors.ts'
import { type RoutingContext, requirementHere } from '../freshness/context.ts'
import { positionOfPin } from '../freshness/pin.ts'
import type { Requirement } from '../freshness/requirement.ts'
import { hasDataOfPrimary, mayServeDespiteLag } from '../nodes/eligibility.ts'
import type { Node } from '../nodes/node.ts'
import type { ReplicaSet } from '../nodes/replica-set.ts'
import type { Session } from '../nodes/session.ts'
import type { Statement, StatementClassifier } from '../sql/classifier.ts'
import type { CatalogReader } from './catalog-reader.ts'
import type { ContextWatch } from './context-watch.ts'
import type { FunctionWatch } from './function-watch.ts'
import { NamedStatements } from './named-statements.ts'
import type { Mark } from './query.ts'
import { ReadRouter } from './read-router.ts'
import { type Attempt, type Claim, IS_NAMED, IS_PRIMARY, type Look, type Route } from './route.ts'
import { ReadPositions, WritePositions } from './statement-positions.ts'

/** The nodes of one dialect or pool, and the routes of statements to them. */
export class Cluster {
  readonly name: string
  readonly set: ReplicaSet
  readonly classifier: StatementClassifier
  readonly catalog: CatalogReader
  /** What sessions have prepared or declared by name. */
  readonly named: NamedStatements
  /** Finds the positions that go into exact pins. */
  readonly writePositions: WritePositions
  readonly readPositions: ReadPositions
  /** Notices if the plugin and this cluster do not fit together. */
  readonly watch: ContextWatch
  /** What an edge does to each session that was taken, before anything is sent; undefined for nothing. */
  readonly prepare:
    | ((session: Session, signal: AbortSignal | undefined) => Promise<void> | undefined)
    | undefined
  readonly #reads: ReadRouter
  readonly #withoutContext: Requirement
  readonly #functions: FunctionWatch
  #hasToldOfSettings = false

  constructor(parts: {
    readonly set: ReplicaSet
    readonly classifier: StatementClassifier
    readonly catalog: CatalogReader
    readonly withoutContext: 'primary' | 'replica'
    readonly watch: ContextWatch
    readonly functions: FunctionWatch
    readonly prepare: Cluster['prepare']
  }) {
    this.name = parts.set.name
    this.set = parts.set
    this.classifier = parts.classifier
    this.catalog = parts.catalog
    this.named = new NamedStatements(parts.classifier)
    this.writePositions = new WritePositions(parts.set, () => parts.classifier.catalog.mayDefer)
    this.readPositions = new ReadPositions(parts.set)
    this.#reads = new ReadRouter(parts.set)
    this.#withoutContext = {
      kind: parts.withoutContext === 'replica' ? 'any' : 'primary',
      reason: 'no-context',
    }
    this.watch = parts.watch
    this.prepare = parts.prepare
    this.#functions = parts.functions
  }

  get primary(): Node {
    return this.set.primary
  }

  /**
   * Whether what a client sets can follow it from node to node. If not, a setting binds its client to the primary. A
   * warning says so once.
   */
  followsSettings(): boolean {
    const others = this.set.nodes.filter((node) => !node.carriesSettings)
    if (others.length === 0) return true
    if (!this.#hasToldOfSettings) this.#tellOfSettings(others)
    return false
  }

  /** What a read demands in this context. */
  requirementOf(context: RoutingContext | undefined): Requirement {
    const requirement = requirementHere(context, this.name)
    if (requirement !== undefined) return requirement
    if (context === undefined) this.watch.sawReadWithoutContext()
    return this.#withoutContext
  }

  /** Whether the context demands the primary. Unlike {@link requirementOf}, this does not count as a read. */
  demandsPrimary(context: RoutingContext | undefined): boolean {
    return (requirementHere(context, this.name) ?? this.#withoutContext).kind === 'primary'
  }

  /**
   * The look for a newer timeline that must come before the statement is routed; undefined for none. A signed pin may
   * prove that the primary known here is an old one. Writes wait only if another node can become the primary.
   */
  timelineLook(
    context: RoutingContext | undefined,
    isWrite: boolean,
    before: Attempt | undefined,
  ): Look | undefined {
    const memory = context?.memory
    if (memory?.carried === undefined || memory.codec?.isSigned !== true) return undefined
    if (before?.looked?.has('timeline') || (isWrite && !this.set.settings.failover)) return undefined
    const position = positionOfPin(memory.carried, this.name, Date.now())
    const run = position && this.set.newerTimeline.lookFor(position)
    return run && { at: 'timeline', run }
  }

  /**
   * The route of a statement on a connection that is on no node, or that must leave its node; after what was attempted
   * before.
   */
  routeOf(statement: Statement, context: RoutingContext | undefined, mark?: Mark, before?: Attempt): Route {
    if (mark === 'to-primary') return { node: this.primary, reason: 'mark', claim: IS_PRIMARY }
    if (mark === 'to-replica' && MARKABLE.has(statement.kind)) {
      return this.routeOfRead(MARKED_TO_REPLICA, context, before)
    }
    if (statement.kind !== 'read') return this.#routeToPrimary(statement, context)
    return this.routeOfRead(this.requirementOf(context), context, before)
  }

  /** The route of a read, to a node that meets the requirement. */
  routeOfRead(requirement: Requirement, context: RoutingContext | undefined, before?: Attempt): Route {
    if (requirement.kind === 'primary') {
      return requirement.comesFromReads === true
        ? this.#reads.routeOfUnknownPosition(requirement.reason, context?.memory, before)
        : { node: this.primary, reason: requirement.reason, claim: IS_PRIMARY }
    }
    if (requirement.kind === 'named') {
      const node = this.#nodeNamed(requirement.node)
      refuseUnavailable(node, this.name)
      return { node, reason: requirement.reason, claim: IS_NAMED }
    }
    return this.#reads.route(requirement, context?.memory, before)
  }

  /** Whether `node` will do for a read with this requirement. */
  meets(node: Node, requirement: Requirement): boolean {
    if (requirement.kind === 'named') return node.name === requirement.node
    if (node === this.primary) return true
    // The mode that the operator set also holds for connections that are on a replica already.
    if (this.set.operator.mode !== 'split') return false
    this.set.refreshIfOld()
    if (requirement.kind === 'any') return node.isEligible
    const observedIsEnough = requirement.comesFromReads === true && !this.primary.isUp
    return requirement.kind === 'primary'
      ? observedIsEnough && mayServeDespiteLag(node)
      : this.#reads.isFreshEnough(node, requirement.position, observedIsEnough)
  }

  /** Whether what a route claims of its node is still true. */
  holds({ node, claim }: { readonly node: Node; readonly claim: Claim }): boolean {
    // The node may have become the primary meanwhile. A primary serves everything that a replica does, but not the
    // other way round.
    if (node === this.primary) return true
    switch (claim.kind) {
      case 'primary':
        return false
      case 'fit':
        this.set.refreshIfOld()
        return node.isEligible && this.set.operator.mode === 'split'
      case 'fresh':
        return (
          this.set.operator.mode === 'split' &&
          this.#reads.isFreshEnough(node, claim.position, claim.observedIsEnough)
        )
      case 'late':
        return this.set.operator.mode === 'split' && mayServeDespiteLag(node)
      case 'named':
        return isAvailable(node)
      case 'bound':
        return true
    }
  }

  /** Refuses what only the primary can do, inside a `useNode()` that names a replica. */
  refuseOnReplica(reason: 'locking' | 'transaction' | 'write', context: RoutingContext | undefined): void {
    const node = this.#nodeInUse(context)
    if (node === undefined || node === this.primary) return
    throw new WritePinningError(
      'ERR_WRITE_PINNING_WRITE_ON_REPLICA',
      `${WHAT[reason]} was to run on '${node.name}', which is a replica of cluster '${this.name}': it was not sent. ` +
        'Run it outside `useNode()`, or inside `usePrimary()`.',
    )
  }

  /** The route of a statement that only the primary can or should run. */
  #routeToPrimary(statement: Statement, context: RoutingContext | undefined): Route {
    const reason = statement.kind as Exclude<Statement['kind'], 'read'>
    if (reason === 'write' || reason === 'locking') {
      this.refuseOnReplica(reason, context)
      if (reason === 'write') this.watch.sawWrite(context)
      return { node: this.primary, reason, claim: IS_PRIMARY }
    }
    // Inside `useNode()`, these still run on the named node: statements about the session, and those that call
    // functions or read primary tables. The server itself refuses what it cannot do.
    const node = this.#nodeInUse(context)
    if (node !== undefined) {
      refuseUnavailable(node, this.name)
      return { node, reason: 'use-node', claim: IS_NAMED }
    }
    // No warning for an unknown function: there may be none of that name.
    const isTold = reason === 'function' && context !== undefined && !statement.isUnknown
    if (isTold) this.#functions.keptFromReplica(statement.blocker)
    return { node: this.primary, reason, claim: IS_PRIMARY }
  }

  /** The node that a surrounding `useNode()` names. The `readFrom` of a route names one too, but only for reads. */
  #nodeInUse(context: RoutingContext | undefined): Node | undefined {
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

  #tellOfSettings(others: readonly Node[]): void {
    this.#hasToldOfSettings = true
    const names = others.map(({ name }) => `'${name}'`).join(', ')
    warn(
      'WRITE_PINNING_SETTINGS_STAY',
      `A client has set something for its session, which cannot follow it to ${names} of cluster '${this.name}': a pooler stands in between, which may ` +
        'have another session serve its next statement, or the pool makes clients of its own kind. So the client reads from the primary from then on. ' +
        'Give the servers themselves as nodes, or set it within a transaction (`set local`).',
    )
  }

  #nodeNamed(name: string): Node {
    const node = this.set.nodeNamed(name)
    if (node !== undefined) return node
    throw new WritePinningError(
      'ERR_WRITE_PINNING_UNKNOWN_NODE',
      `Cluster '${this.name}' has no node called '${name}'; it has ${this.set.nodes.map((each) => `'${each.name}'`).join(', ')}.`,
    )
  }
}

/**
 * Throws if a node that was asked for by name cannot serve. Whether it lags is not checked: code that names a node
 * accepts that.
 */
function refuseUnavailable(node: Node, cluster: string): void {
  if (isAvailable(node)) return
  throw new WritePinningError(
    'ERR_WRITE_PINNING_NODE_UNAVAILABLE',
    `The node '${node.name}' of cluster '${cluster}', which was asked for by name, cannot be used now: ${node.ineligibility}${node.downBecause === undefined ? '' : ` (${node.downBecause})`}.`,
    { statusCode: 503 },
  )
}

function isAvailable(node: Node): boolean {
  if (node.role === 'primary') return true
  return node.ineligibility !== 'down' && node.ineligibility !== 'drained' && hasDataOfPrimary(node)
}

const MARKED_TO_REPLICA: Requirement = { kind: 'any', reason: 'mark' }
// The kinds of statements that a mark may send to a replica. Not those that write or lock by their syntax, nor those
// about the session.
const MARKABLE: ReadonlySet<Statement['kind']> = new Set(['read', 'function', 'primary-table'])

const WHAT = {
  locking: 'A read that locks rows',
  transaction: 'A transaction that is not `read only`',
  write: 'A write',
}
