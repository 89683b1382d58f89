import { WritePinningError } from '../errors.ts'
import type { Cluster } from './cluster.ts'
import type { ConnectionSession } from './connection-session.ts'
import type { AbortOptions, Acquisition, Session } from './node-driver.ts'
import type { Attempt, Route } from './route.ts'
import { StaleNode } from './session-freshness.ts'
import type { WriteRecord } from './write-record.ts'

/** Something that runs on one node: a statement, a stream up to its first rows, or the begin of a transaction. */
export interface Work<T> {
  readonly options: AbortOptions | undefined
  /** Where it goes, after what was attempted before. */
  routeAfter(before: Attempt | undefined): Route
  /** Runs it on the session of its route. */
  send(session: Session, route: Route): Promise<T>
  /** Draws the conclusions from what came back; undefined where there is nothing to wait for. */
  received(result: T, session: Session): Promise<void> | undefined
  /** Draws the conclusions from an error, and says where it is tried once more; undefined where the error surfaces. */
  failed(failure: Failed): Promise<Attempt | undefined>
}

/** An attempt that failed. */
export interface Failed {
  readonly error: unknown
  readonly route: Route
  /** The session it was sent on; undefined where it was not sent. */
  readonly session: Session | undefined
  /** Whether the connection was on the node before: what it left in that session is lost with it. */
  readonly wasBound: boolean
  /** What was attempted before. */
  readonly before: Attempt | undefined
}

/** What the work runs in. */
export interface Place {
  readonly cluster: Cluster
  readonly session: ConnectionSession
  readonly writes: WriteRecord
  /** Told as work begins and ends. */
  enter(): void
  leave(): Promise<void> | undefined
}

/**
 * Runs work where it belongs and, where a node fails it, as its next attempt says. Each turn of the loop is one attempt: find
 * the node, get a session of it, see whether the route still holds after that wait, send.
 */
export async function runWork<T>(place: Place, work: Work<T>, first?: Attempt): Promise<T> {
  const { cluster, session: own, writes } = place
  place.enter()
  try {
    for (let attempt = first, attempts = 1; ; attempts++) {
      if (attempts > MAX_ATTEMPTS) throw noneKeepsItsPromise(cluster.name)
      const route: Route = attempt?.route ?? work.routeAfter(attempt)
      const { node } = route
      const tried: Attempt['tried'] = attempt?.tried
      if (route.look !== undefined) {
        await route.look.run()
        attempt = { ...attempt, tried, route: undefined, looked: new Set(attempt?.looked).add(route.look.at) }
        continue
      }
      let session = own.on(route)
      const wasBound = session !== undefined
      // Whether anything was waited for since the route was found.
      const hasWaited = !wasBound || attempt?.route !== undefined
      let acquisition: Acquisition | undefined
      try {
        if (session === undefined) {
          if (route.spills && !(await own.takeTurn(cluster.set.spill))) {
            attempt = { ...attempt, tried, route: undefined }
            continue
          }
          // Kysely's own promise is awaited, and none of ours: nearly every query is the first on its connection.
          acquisition = own.beginFirst(node, work.options)
          session =
            acquisition === undefined
              ? await own.moveTo(node, writes.inTransaction, work.options)
              : own.take(node.sessionOf(acquisition, await acquisition.connection), work.options)
        }
        const holds = !hasWaited || writes.inTransaction || cluster.holds(route)
        if (session === undefined || !holds) {
          if (session !== undefined) await own.letGo(false)
          attempt = { ...attempt, tried, route: undefined }
          continue
        }
        const result = await work.send(session, route)
        const conclusions = work.received(result, session)
        if (conclusions !== undefined) await conclusions
        return result
      } catch (error) {
        if (error instanceof StaleNode) {
          // What the connection is on already would be taken to do.
          await own.letGo(false)
          attempt = {
            ...attempt,
            ...{ tried, route: undefined, unproven: new Set(attempt?.unproven).add(node) },
            looked: new Set(attempt?.looked).add('positions'),
          }
          continue
        }
        // Once it is a session of this connection's, it is given back by whoever releases that: by then it may be somebody else's.
        const wasTaken = session !== undefined || own.current?.client === acquisition?.client
        if (
          acquisition !== undefined &&
          !wasTaken &&
          (await node.giveUp(acquisition, error)) &&
          attempt?.didWithout !== true
        ) {
          attempt = { route, tried, didWithout: true }
          continue
        }
        attempt = await work.failed({ error, route, session, wasBound, before: attempt })
        if (attempt === undefined) throw error
      }
    }
  } finally {
    const left = place.leave()
    if (left !== undefined) await left
  }
}

/** Every attempt has a reason that the ones before have not; more than that there are only where something is wrong here. */
const MAX_ATTEMPTS = 50

function noneKeepsItsPromise(cluster: string): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_NODE_UNAVAILABLE',
    `A statement of cluster '${cluster}' was given up after ${MAX_ATTEMPTS} attempts: each time what was known of a node did not hold any more.`,
    { statusCode: 503 },
  )
}
