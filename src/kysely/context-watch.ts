import { warn } from '../diagnostics.ts'
import { anyRequestOpened, type RoutingContext } from '../routing/context.ts'

/** After how many reads without a context it is no accident. */
const MANY_READS = 1_000

/**
 * Notices what does not fit between the plugin and the dialect, and says each once: nobody registered the plugin, so that many
 * reads run without a request context and all of them load the primary; or pins are shorter than replicas may be late.
 */
export class ContextWatch {
  readonly #cluster: string
  readonly #maxLagMs: number
  #readsLeft: number
  #hasSaidShortPin = false

  /** `maxLagMs` is how late a replica of the cluster may be at most. */
  constructor(
    cluster: string,
    maxLagMs: number,
    hasReplicas: boolean,
    withoutContext: 'primary' | 'replica',
  ) {
    this.#cluster = cluster
    this.#maxLagMs = hasReplicas ? maxLagMs : 0
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

  sawReadWithoutContext(): void {
    if (this.#readsLeft === 0) return
    this.#readsLeft--
    if (this.#readsLeft > 0 || anyRequestOpened()) return
    warn(
      'WRITE_PINNING_NO_CONTEXT',
      `${MANY_READS} reads of cluster '${this.#cluster}' went to the primary, because no request context was ever ` +
        "opened. Register the plugin (`app.register(writePinning)`, in Express `app.use(writePinning())`), or set the dialect's `withoutContext: 'replica'`.",
    )
  }
}
