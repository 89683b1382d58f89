import { cleanSession, runPlain } from './plain.ts'
import { differences, type State } from './state.ts'
import type { Twins } from './twins.ts'
import { type Outcome, type Served, sameOutcome, type Unit } from './unit.ts'

/** What is wrong with how a unit was served. */
export type Fault =
  | 'uncounted' // it changed something, and the request does not count as a write
  | 'another answer' // than plain `pg` on the primary gives
  | 'failure' // where plain `pg` works
  | 'another error'
  | 'success' // where plain `pg` fails
  | 'another effect' // than plain `pg` has, on the same rows
  | 'left' // in a session of the replica, for whoever comes next

/** How a unit was served, and what is wrong with that. */
export interface Verdict {
  readonly unit: Unit
  readonly faults: readonly Fault[]
  /** What was changed on the primary. */
  readonly changed: readonly string[]
  readonly left: string
  readonly plain: Outcome
  readonly served: Served
  /** Whether a replica could have served it with the same answer; undefined where that is not for the share. */
  readonly share: 'on replica' | 'on primary' | undefined
}

/** Runs units on both twins, and judges. */
export class Judge {
  readonly #twins: Twins
  #state: State
  #plainState: State
  /** The end of the log, and the sequences of both, after the last unit. */
  #last = ''
  #sinceReset = 0

  static async on(twins: Twins): Promise<Judge> {
    const judge = new Judge(twins, await twins.state.read(), await twins.plainState.read())
    judge.#last = await judge.#glance()
    return judge
  }

  private constructor(twins: Twins, state: State, plainState: State) {
    this.#twins = twins
    this.#state = state
    this.#plainState = plainState
  }

  async judge(unit: Unit): Promise<Verdict> {
    const { product, plain: client, state, plainState } = this.#twins
    const plain = await runPlain(client, unit)
    const served = await product.run(unit)
    const glances = await this.#glance()
    const mayDiffer = glances !== this.#last
    this.#last = glances

    const faults = new Set<Fault>()
    const changed: string[] = []
    let areApart = false
    if (mayDiffer) {
      const [now, plainNow] = await Promise.all([state.read(), plainState.read()])
      changed.push(...differences(this.#state.versions, now.versions))
      const changedByPlain = differences(this.#plainState.versions, plainNow.versions)
      this.#state = now
      this.#plainState = plainNow
      if (changed.length > 0 && served.error === undefined && !served.isCounted) faults.add('uncounted')
      // How often something was called is not compared: that may hang on what a session has planned before.
      if (changed.join() !== changedByPlain.join()) faults.add('another effect')
      areApart = differences(now.contents, plainNow.contents).length > 0
    }
    compare(unit, plain, served, faults)

    const left = await this.#left(unit, served)
    if (left !== '') faults.add('left')
    const isUnclean = unit.isOfSession || faults.size > 0
    if (isUnclean) await this.#twins.clean(unit.client)
    const isReset = areApart || ++this.#sinceReset > 150
    if (isReset) await this.#reset()
    if (isUnclean || isReset) this.#last = await this.#glance()
    const share = await this.#share(unit, plain, served, changed)
    return { unit, faults: [...faults], changed, left, plain, served, share }
  }

  /** What it left on the replica; of what is harmless, now and then. */
  async #left(unit: Unit, { routes }: Served): Promise<string> {
    if (unit.isHarmless && this.#sinceReset % 8 > 0) return ''
    return routes.some(({ role }) => role === 'replica')
      ? await this.#twins.product.leftOnReplica(unit.client)
      : ''
  }

  /** Nothing durable has changed in either where this is the same. */
  async #glance(): Promise<string> {
    const { state, plainState } = this.#twins
    return (await Promise.all([state.glance(), plainState.glance()])).join(' ')
  }

  async #reset(): Promise<void> {
    this.#sinceReset = 0
    await this.#twins.reset()
    const { state, plainState } = this.#twins
    ;[this.#state, this.#plainState] = await Promise.all([state.read(), plainState.read()])
  }

  async #share(
    unit: Unit,
    plain: Outcome,
    served: Served,
    changed: readonly string[],
  ): Promise<Verdict['share']> {
    if (!unit.isHarmless || changed.length > 0 || plain.error !== undefined) return undefined
    if (unit.mode !== 'auto' && unit.mode !== 'connection' && unit.mode !== 'read-only') return undefined
    if (served.routes.every(({ role }) => role === 'replica')) return 'on replica'
    const onReplica = await runPlain(this.#twins.plainOnReplica, unit)
    await cleanSession(this.#twins.plainOnReplica)
    return sameOutcome(plain, onReplica) ? 'on primary' : undefined
  }
}

function compare(unit: Unit, plain: Outcome, served: Served, faults: Set<Fault>): void {
  if (sameOutcome(plain, served) || isExplained(unit, plain, served)) return
  if (served.error === undefined) faults.add(plain.error === undefined ? 'another answer' : 'success')
  else faults.add(plain.error === undefined ? 'failure' : 'another error')
}

/**
 * A read-only transaction stays where its first statement has bound it; what belongs to the primary later fails by a word of our own, also
 * where plain `pg` would fail at the same statement, or a later one. What it has answered before has to be right.
 */
function isExplained(unit: Unit, plain: Outcome, { error, answers }: Served): boolean {
  return (
    unit.mode === 'read-only' &&
    error?.code?.startsWith('ERR_WRITE_PINNING') === true &&
    answers.length > 0 &&
    answers.length <= plain.answers.length &&
    answers.every((answer, index) => answer === plain.answers[index])
  )
}
