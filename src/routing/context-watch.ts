import { warn } from '../diagnostics.ts'
import { anyRequestOpened, type RoutingContext } from '../freshness/context.ts'

/** This many reads without a context are no accident. */
const MANY_READS = 1_000

/**
 * How long after its response a request may still use its context, in ms. After that, the context was probably taken
 * over by something else.
 *
 * What follows a response (a write that is not awaited, `setImmediate`, a log of visits) is over within seconds, and
 * what takes longer belongs in a job. Proxies and clients give up on a request after 30 to 60 s, so its own code takes
 * less. But a queue may run everybody's work in the context of the first request. It goes on in that context as long as
 * it is busy, and gets past this limit.
 */
const LONG_AFTER_MS = 30_000
/** The shortest pause between two warnings that count such statements, in ms. */
const LATE_REPORT_MS = 600_000

/**
 * Notices if the plugin and the dialect or pool do not fit together. It warns of each of these once, and of the last
 * one again now and then:
 *
 * - The plugin is not registered, or not where all requests pass. Then many reads run outside any request's context and
 *   load the primary, or a write runs outside and sets no pin.
 * - Pins expire before `maxLagMs`.
 * - Work runs in the context of a request that was answered long ago.
 */
export class ContextWatch {
  readonly #cluster: string
  readonly #maxLagMs: number
  #readsLeft: number
  #hasSaidShortPin = false
  /** Whether a write outside any request's context is still worth a warning. Without replicas, no read can miss it. */
  #warnsOfWrites: boolean
  readonly #hasReplicas: boolean
  #lateStatements = 0
  #saidLateAtMs = Number.NEGATIVE_INFINITY

  /** `maxLagMs` is the most that any replica of the cluster may lag. */
  constructor(
    cluster: string,
    maxLagMs: number,
    hasReplicas: boolean,
    withoutContext: 'primary' | 'replica',
  ) {
    this.#cluster = cluster
    this.#maxLagMs = hasReplicas ? maxLagMs : 0
    this.#warnsOfWrites = hasReplicas
    this.#hasReplicas = hasReplicas
    this.#readsLeft = hasReplicas && withoutContext === 'primary' ? MANY_READS : 0
  }

  /**
   * Sees a write. Warns if its pin expires before `maxLagMs`: a replica that has not replayed the write may then serve.
   */
  sawWrite(context: RoutingContext | undefined): void {
    const pinningMs = context?.memory?.pinningMs
    if (pinningMs === undefined || pinningMs > this.#maxLagMs || this.#hasSaidShortPin) return
    this.#hasSaidShortPin = true
    warn(
      'WRITE_PINNING_SHORT_PIN',
      `A replica of cluster '${this.#cluster}' may be ${this.#maxLagMs} ms late (\`maxLagMs\`), and a pin lasts ${pinningMs} ms: ` +
        'whoever wrote may then read from a replica that has not replayed it. Set `pinningSeconds` above `maxLagMs`.',
    )
  }

  /**
   * Sees every statement. Once one ran in a request's context, the plugin is in the right place: reads without a
   * context are no longer counted.
   */
  saw(context: RoutingContext | undefined): void {
    const memory = context?.memory
    if (memory === undefined) return
    this.#readsLeft = 0
    if (memory.answeredAtMs < Number.POSITIVE_INFINITY && !isMeant(context)) {
      this.#sawAfterAnswer(memory.answeredAtMs)
    }
  }

  /**
   * Notices a statement in the context of a request that was answered long ago. Warns of the first, and then now and
   * then of how many there were.
   */
  #sawAfterAnswer(answeredAtMs: number): void {
    const nowMs = Date.now()
    const afterMs = nowMs - answeredAtMs
    if (afterMs < LONG_AFTER_MS || !this.#hasReplicas) return
    this.#lateStatements++
    if (nowMs - this.#saidLateAtMs < LATE_REPORT_MS) return
    const isFirst = this.#saidLateAtMs === Number.NEGATIVE_INFINITY
    this.#saidLateAtMs = nowMs
    warn(
      'WRITE_PINNING_ENDED_CONTEXT',
      isFirst
        ? `A statement of cluster '${this.#cluster}' ran in the context of a request that was answered ${Math.round(afterMs / 1000)} s before. ` +
            'Something between requests (a queue, a pool, a timer) may run the work of one in the context of another: whoever it is for may ' +
            "then read from a late replica, and what it writes pins nobody. Hand it `bindContext(fn)` of 'write-pinning'; what is no " +
            "request's work, or goes on long after its response, belongs in `runWithPin(undefined, …)`. docs/context.md says more."
        : `${this.#lateStatements} statements of cluster '${this.#cluster}' ran in the context of requests that were answered more than ` +
            `${LONG_AFTER_MS / 1000} s before, as was said of the first.`,
    )
  }

  /** Notices a write outside any request's context. */
  sawWriteOutside(): void {
    // Some writes, such as those of migrations, run before there is any request.
    if (!this.#warnsOfWrites || !anyRequestOpened()) return
    this.#warnsOfWrites = false
    warn(
      'WRITE_PINNING_WRITE_WITHOUT_CONTEXT',
      `A write of cluster '${this.#cluster}' ran outside the context of any request, although this process opens such contexts: ` +
        `it pins nobody, so whoever made it may not see it. If it was a request's, ${REGISTER}. If it was a job's, run that ` +
        'in `runWithPin(undefined, …)`, or, where nobody need see the write at once, in `withoutPin(…)`.',
    )
  }

  sawReadWithoutContext(): void {
    if (this.#readsLeft === 0) return
    this.#readsLeft--
    if (this.#readsLeft > 0) return
    const why = anyRequestOpened()
      ? 'because they ran outside the context of any request, although this process opens such contexts; no statement of this cluster ran inside one'
      : 'because no request context was ever opened'
    warn(
      'WRITE_PINNING_NO_CONTEXT',
      `${MANY_READS} reads of cluster '${this.#cluster}' went to the primary, ${why}. If requests made them, ${REGISTER}. ` +
        "If jobs did, run those in `runWithPin(undefined, …)`, or set the dialect's `withoutContext: 'replica'`.",
    )
  }
}

const REGISTER =
  'register the plugin where every request passes, before the routes: in Fastify `await app.register(writePinning)` at the root, ' +
  'not in a child, in Express `app.use(writePinning())`, not under a path'

/** Whether the application has said where its reads and writes here go, so that the context is no accident. */
function isMeant(context: RoutingContext | undefined): boolean {
  if (context === undefined) return false
  const { isBound, countsWrites, override } = context
  return isBound === true || !countsWrites || (override !== undefined && override.kind !== 'primary')
}
