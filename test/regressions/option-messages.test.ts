import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { runWithPin } from 'write-pinning'
import { writePinning } from 'write-pinning/express'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { memoryPinStore } from 'write-pinning/stores'

const URL = 'postgres://shop@127.0.0.1:1/shop'
const pinning = (options: object) => () => writePinning(options)
const dialect = (options: object) => () =>
  new PrimaryReplicaDialect({ primary: URL, replicas: [], ...options } as never)
/** A client of Redis, as far as one is looked at. */
const redis = { get: async () => null, set: async () => 'OK', hGetAll: async () => ({}), eval: async () => 1 }
const pool = new pg.Pool({ connectionString: URL })

function messageOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    return (error as Error).message
  }
  return 'nothing was refused'
}

describe('the error for a wrong option says', () => {
  it.each<[what: string, act: () => unknown, says: string[]]>([
    ['which header', pinning({ header: 'Authorization' }), ['got "Authorization"']],
    [
      'which name of a cookie',
      pinning({ cookie: { name: 'write pin' } }),
      ['`cookie.name`', 'got "write pin"'],
    ],
    [
      'which name of a cookie cannot have its path',
      pinning({ cookie: { name: '__Host-p', path: '/a' } }),
      ['"__Host-p"'],
    ],
    [
      'to write an array around one replica',
      dialect({ replicas: URL }),
      ['write `[url]` for one', 'got a string'],
    ],
    [
      'to wrap a client of Redis',
      pinning({ pinStore: redis, account: () => 'a' }),
      ['`redisPinStore(client)`', 'beside `account`'],
    ],
    [
      'so in a job, too',
      () => runWithPin(undefined, () => 1, { pinStore: redis as never }),
      ['`redisPinStore(client)`'],
    ],
    [
      'which table',
      dialect({ primaryTables: ['a.b', ''] }),
      ['`primaryTables[1]` must be a name, as `table` or `schema.table`, and got an empty string'],
    ],
    ['that there are no names', dialect({ unpinnedTables: 'a' }), ['each as `table` or `schema.table`']],
    [
      'which function',
      dialect({ replicaFunctions: ['f', 7] }),
      ['`replicaFunctions[1]`', '`name` or `schema.name`'],
    ],
    [
      'what to do where one Pool is given twice',
      dialect({ primary: pool, replicas: [pool] }),
      ['`replicas[0]` is the same Pool object as', 'write `replicas: []`'],
    ],
    [
      'whose an option of the dialect is',
      pinning({ maxLagMs: 5 }),
      [
        'writePinning has no option `maxLagMs`: that is an option of `PrimaryReplicaPool` (and of `PrimaryReplicaDialect`). writePinning has `pinningSeconds`,',
      ],
    ],
    [
      'whose an option of the plugin is',
      dialect({ pinningSeconds: 5 }),
      [
        'no option `pinningSeconds`: that is an option of `writePinning`. PrimaryReplicaDialect has `primary`,',
      ],
    ],
  ])('%s', (_what, act, says) => {
    const message = messageOf(act)
    for (const each of says) expect(message).toContain(each)
  })

  it('no name that is too long for one, which may be a secret', () => {
    const secret = 'hunter2'.repeat(6)
    expect(messageOf(pinning({ header: `${secret} ` }))).not.toContain('hunter2')
    expect(messageOf(pinning({ cookie: { name: `${secret} ` } }))).not.toContain('hunter2')
    expect(messageOf(pinning({ pinStore: memoryPinStore(), account: () => 'a' }))).toBe('nothing was refused')
  })
})

describe('the warning of a token that is a promise', () => {
  it('says to await it', async () => {
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    expect(runWithPin(Promise.resolve(undefined) as never, () => 1)).toBe(1)
    expect((await warned).message).toBe(
      'runWithPin() was given a promise of a token: its reads go to the primary. Write `await capturePin()`.',
    )
  })
})
