import { setTimeout as wait } from 'node:timers/promises'
import type { PostgresCluster, PostgresNode } from 'write-pinning/testing'
import type { Random } from '../sql/random.ts'
import type { TcpProxy } from './tcp-proxy.ts'

/** What the faults are made on. */
export interface FaultPlace {
  readonly cluster: PostgresCluster
  /** One in front of each node. */
  readonly proxies: readonly TcpProxy[]
  /** The login of the pools. */
  readonly user: string
  /** Roles that a client may act as. */
  readonly roles: readonly string[]
}

type Fault = (place: FaultPlace, random: Random) => Promise<unknown>

const aReplica = ({ cluster }: FaultPlace, random: Random) => random.pick(cluster.replicas)

/** Signals at most this many random backends of the pools on a node. */
async function signal(node: PostgresNode, { user }: FaultPlace, by: string, many: number): Promise<void> {
  await node.query(
    `select ${by}(pid) from (select pid from pg_stat_activity where usename = $1 and application_name <> 'write-pinning'
     order by random() limit $2) as those`,
    [user, many],
  )
}

/** Cuts the next connection that sends these words, before or after its server has received them. */
const cutAt: (words: string) => Fault = (words) => async (place, random) => {
  const message = random.chance(0.5) ? 'delivered' : 'lost'
  random.pick(place.proxies).cutWhen((bytes) => bytes.includes(words), message)
}

/**
 * Cancels running statements at many moments. Some of these are between the settings that are laid ahead of a
 * statement and the statement.
 */
const cancelling = (user: string) => `do $$ begin
  for turn in 1..60 loop
    perform pg_stat_clear_snapshot();
    perform pg_cancel_backend(pid) from pg_stat_activity where usename = '${user}' and state = 'active' and random() < 0.5;
    perform pg_sleep(0.001);
  end loop;
end $$`

/** The faults, and how often each is made. */
const FAULTS: readonly (readonly [name: string, weight: number, fault: Fault])[] = [
  ['cancelled', 40, (place, random) => random.pick(place.cluster.nodes).query(cancelling(place.user))],
  [
    'terminated',
    8,
    (place, random) =>
      signal(random.pick(place.cluster.nodes), place, 'pg_terminate_backend', 1 + random.below(4)),
  ],
  ['cut at a setting', 4, cutAt('tenant')],
  ['cut at a commit', 4, cutAt('commit')],
  ['cut', 2, async (place, random) => random.pick(place.proxies).cut({ waiting: false })],
  [
    'refused a role',
    10,
    async (place, random) => {
      const roles = place.roles.filter(() => random.chance(0.5)).join()
      await place.cluster.primary.query(`revoke ${roles} from ${place.user}`)
      await wait(random.below(300))
      await place.cluster.primary.query(`grant ${roles} to ${place.user}`)
    },
  ],
  [
    'frozen',
    1,
    async (place, random) => {
      const replica = aReplica(place, random)
      await replica.freeze()
      await wait(100 + random.below(700))
      await replica.thaw()
    },
  ],
  [
    'killed',
    1,
    async (place, random) => {
      const replica = aReplica(place, random)
      await replica.kill()
      await replica.start()
    },
  ],
  ['restarted', 1, (place, random) => aReplica(place, random).restart()],
]

const ALL = FAULTS.flatMap((fault) => Array<(typeof FAULTS)[number]>(fault[1]).fill(fault))

/** Makes one fault after the other, and counts them by name. Each ends before the next begins. */
export async function makeFaults(
  place: FaultPlace,
  random: Random,
  isOver: () => boolean,
): Promise<Record<string, number>> {
  const made: Record<string, number> = {}
  while (!isOver()) {
    const [name, , fault] = random.pick(ALL)
    made[name] = (made[name] ?? 0) + 1
    await fault(place, random)
    await wait(random.below(20))
  }
  return made
}
