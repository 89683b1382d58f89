import { warn } from '../diagnostics.ts'

/** A replica that may be chosen. */
export interface Candidate {
  readonly name: string
  readonly weight: number
  /** How many of its sessions this process has lent or is waiting for. */
  readonly busy: number
  /** Its lag when it was last seen, in ms; undefined if unknown. */
  readonly lagMs: number | undefined
}

/**
 * Chooses the replica for a read. It gets the replicas that are fit (at least one), and returns one of them or its
 * name. If it throws or returns anything else (a promise, say), the least busy replica serves, with one warning.
 *
 * @example
 * const choose: ChooseFunction = (replicas) => replicas.reduce((a, b) => (b.busy < a.busy ? b : a))
 */
export type ChooseFunction = (candidates: readonly Candidate[]) => Candidate | string

/** How a replica is chosen among those that are fit: in one of the ways built in, or by a function. */
export type Choose = 'least-busy' | 'round-robin' | 'random' | ChooseFunction

/** Chooses one of the candidates; there is at least one. */
export type Choice = <C extends Candidate>(candidates: readonly C[]) => C

/** Makes the choice for an option. `'round-robin'` and functions keep state, so each cluster makes its own. */
export function choiceOf(choose: Choose, cluster: string): Choice {
  if (choose === 'random') return random
  if (choose === 'round-robin') return roundRobin()
  if (choose === 'least-busy') return leastBusy
  return byFunction(choose, cluster)
}

/**
 * Draws two at random, and takes the one that is less busy for its weight. That is about as good as comparing all of
 * them, and processes do not all pick the same one.
 */
function leastBusy<C extends Candidate>(candidates: readonly C[]): C {
  const [a, b] = candidates as readonly [C, C | undefined]
  if (b === undefined) return a
  const isPair = candidates.length === 2
  const first = isPair ? a : random(candidates)
  const second = isPair ? b : random(candidates)
  const difference = (second.busy + 1) * first.weight - (first.busy + 1) * second.weight
  if (difference !== 0) return difference < 0 ? second : first
  return Math.random() * (first.weight + second.weight) < first.weight ? first : second
}

function random<C extends Candidate>(candidates: readonly C[]): C {
  let sum = 0
  for (const { weight } of candidates) sum += weight
  let drawn = Math.random() * sum
  for (const candidate of candidates) {
    drawn -= candidate.weight
    if (drawn < 0) return candidate
  }
  return candidates.at(-1) as C
}

/** Takes turns, by weight. The turns of a heavy candidate are spread over the round, as nginx spreads them. */
function roundRobin(): Choice {
  const credits = new Map<string, number>()
  return (candidates) => {
    // Do not keep the credits of replicas that are gone.
    if (credits.size > 2 * candidates.length + 16) credits.clear()
    let sum = 0
    let best = candidates[0] as (typeof candidates)[number]
    for (const candidate of candidates) {
      const credit = (credits.get(candidate.name) ?? 0) + candidate.weight
      credits.set(candidate.name, credit)
      sum += candidate.weight
      if (credit > (credits.get(best.name) ?? 0)) best = candidate
    }
    credits.set(best.name, (credits.get(best.name) ?? 0) - sum)
    return best
  }
}

/** Calls the application's function. A wrong result must not fail a query: the least busy candidate serves then. */
function byFunction(choose: ChooseFunction, cluster: string): Choice {
  let hasWarned = false
  return (candidates) => {
    try {
      // A copy: the function may sort it or take from it.
      const chosen = choose([...candidates])
      const found = candidates.find((each) => each === chosen || each.name === chosen)
      if (found !== undefined) return found
      // An async function gives a promise. If that rejects, it must not end the process.
      Promise.resolve(chosen).catch(ignore)
    } catch {
      // The same as a wrong result.
    }
    if (!hasWarned) {
      hasWarned = true
      warn(
        'WRITE_PINNING_CHOOSE',
        `The function \`choose\` of cluster '${cluster}' threw, or gave none of the candidates (or a promise, which nobody can wait for): the least busy replica serves.`,
      )
    }
    return leastBusy(candidates)
  }
}

/**
 * The candidate that a key belongs to: the one with the highest score for it. If a candidate comes or goes, only its
 * own keys move. A candidate of twice the weight has twice the keys
 * (https://www.ietf.org/archive/id/draft-ietf-bess-weighted-hrw-00.html).
 */
export function rendezvous<Candidate extends { readonly name: string; readonly weight: number }>(
  candidates: readonly Candidate[],
  key: string,
): Candidate | undefined {
  let best: Candidate | undefined
  let highest = Number.NEGATIVE_INFINITY
  for (const candidate of candidates) {
    const score = -candidate.weight / Math.log(share(`${candidate.name}\0${key}`))
    if (score <= highest) continue
    best = candidate
    highest = score
  }
  return best
}

/**
 * A number between 0 and 1 (both excluded) that depends on the text alone: FNV-1a, with the last steps of
 * MurmurHash3.
 */
function share(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  hash ^= hash >>> 16
  return ((hash >>> 0) + 0.5) / 2 ** 32
}

function ignore(): void {}
