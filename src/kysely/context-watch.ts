import { warn } from '../diagnostics.ts'
import { anyRequestOpened } from '../routing/context.ts'

/** After how many reads without a context it is no accident. */
const MANY_READS = 1_000

/**
 * Notices that nobody registered the plugin: many reads run, and no request context was ever opened, so all
 * of them load the primary and the replicas idle. One warning says so.
 */
export class ContextWatch {
  readonly #cluster: string
  #readsLeft: number

  constructor(cluster: string, hasReplicas: boolean, withoutContext: 'primary' | 'replica') {
    this.#cluster = cluster
    this.#readsLeft = hasReplicas && withoutContext === 'primary' ? MANY_READS : 0
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
