import { warn } from '../diagnostics.ts'
import { anyRequestOpened, type RoutingContext } from '../routing/context.ts'

/** After how many reads without a context it is no accident. */
const MANY_READS = 1_000

/**
 * Notices what does not fit between the plugin and the dialect, and says each once: the plugin is not registered, or not where
 * all requests pass, so that many reads run outside a request's context, and load the primary, or a write does, and pins
 * nobody; or pins are shorter than replicas may be late.
 */
export class ContextWatch {
  readonly #cluster: string
  readonly #maxLagMs: number
  #readsLeft: number
  #hasSaidShortPin = false
  /** Whether a write outside the context of any request is still worth a warning; without replicas no read misses it. */
  #warnsOfWrites: boolean

  /** `maxLagMs` is how late a replica of the cluster may be at most. */
  constructor(
    cluster: string,
    maxLagMs: number,
    hasReplicas: boolean,
    withoutContext: 'primary' | 'replica',
  ) {
    this.#cluster = cluster
    this.#maxLagMs = hasReplicas ? maxLagMs : 0
    this.#warnsOfWrites = hasReplicas
    this.#readsLeft = hasReplicas && withoutContext === 'primary' ? MANY_READS : 0
  }

  /** Notices a write whose pin is over before a replica that is late enough has to serve nobody. */
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

  /** Sees every statement: after one in a request's context, reads outside are no sign of a plugin in the wrong place. */
  saw(context: RoutingContext | undefined): void {
    if (context?.memory !== undefined) this.#readsLeft = 0
  }

  /** Notices a write outside the context of any request. */
  sawWriteOutside(): void {
    // Migrations, for one, run before there is any request.
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
