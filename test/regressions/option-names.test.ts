import { describe, expect, it } from 'vitest'
import { runWithPin, WritePinningError } from 'write-pinning'
import { rdsIamPassword } from 'write-pinning/aws'
import { markRoute, writePinning } from 'write-pinning/express'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { memoryPinStore } from 'write-pinning/stores'
import { startPostgresCluster } from 'write-pinning/testing'

const URL = 'postgres://shop@127.0.0.1:1/shop'

/** What an option that does not exist ends with. */
async function refusal(act: () => unknown): Promise<[code: string, message: string]> {
  try {
    await act()
  } catch (error) {
    if (error instanceof WritePinningError) return [error.code, error.message]
    throw error
  }
  return ['', 'nothing was refused']
}

const pinning = (options: object) => () => writePinning(options)
const dialect = (options: object) => () =>
  new PrimaryReplicaDialect({ primary: URL, replicas: [], ...options } as never)
const replica = (options: object) => dialect({ replicas: [{ pool: URL, ...options }] })

describe('an option that does not exist is refused, with the one that was most likely meant', () => {
  const meant: [wrong: string, act: () => unknown, begin: string][] = [
    [
      'pinningSecond',
      pinning({ pinningSecond: 5 }),
      'writePinning has no option `pinningSecond`; did you mean `pinningSeconds`?',
    ],
    [
      'pinninSeconsd',
      pinning({ pinninSeconsd: 5 }),
      'writePinning has no option `pinninSeconsd`; did you mean `pinningSeconds`?',
    ],
    ['PINONWRITE', pinning({ pinon: 'write' }), 'writePinning has no option `pinon`; did you mean `pinOn`?'],
    [
      'pinstore',
      pinning({ pin_store: memoryPinStore() }),
      'writePinning has no option `pin_store`; did you mean `pinStore`?',
    ],
    [
      'samesite',
      pinning({ cookie: { samesite: 'lax' } }),
      'writePinning: `cookie` has no option `samesite`; did you mean `sameSite`?',
    ],
    [
      'replica',
      dialect({ replica: [URL] }),
      'PrimaryReplicaDialect has no option `replica`; did you mean `replicas`?',
    ],
    [
      'maxLagMS',
      dialect({ maxLagMS: 5 }),
      'PrimaryReplicaDialect has no option `maxLagMS`; did you mean `maxLagMs`?',
    ],
    [
      'wieght',
      replica({ wieght: 2 }),
      'PrimaryReplicaDialect: `replicas[0]` has no option `wieght`; did you mean `weight`?',
    ],
    [
      'dbwrite',
      () => markRoute({ dbwrite: true } as never),
      'markRoute() has no option `dbwrite`; did you mean `dbWrite`?',
    ],
    [
      'secrets',
      () => runWithPin(undefined, () => 1, { secrets: ['x'] } as never),
      'runWithPin() has no option `secrets`; did you mean `secret`?',
    ],
    [
      'hostName',
      () => rdsIamPassword({ hostName: 'db' } as never),
      'rdsIamPassword has no option `hostName`; did you mean `hostname`?',
    ],
    [
      'replica of a cluster',
      () => startPostgresCluster({ replica: 2 } as never),
      'startPostgresCluster has no option `replica`; did you mean `replicas`?',
    ],
  ]
  it.each(meant)('%s', async (_wrong, act, begin) => {
    const [code, message] = await refusal(act)
    expect(code).toBe('ERR_WRITE_PINNING_UNKNOWN_OPTION')
    expect(message.slice(0, begin.length)).toBe(begin)
    expect(message.slice(begin.length)).toMatch(/^ It has `\w+`/)
  })

  it.each(['ttl', 'sticky', 'masterPool'])('and none, where none is near: %s', async (name) => {
    const [code, message] = await refusal(pinning({ [name]: 1 }))
    expect(code).toBe('ERR_WRITE_PINNING_UNKNOWN_OPTION')
    expect(message).toBe(
      `writePinning has no option \`${name}\`; it has \`pinningSeconds\`, \`pin\`, \`pinOn\`, \`readMethods\`, \`cookie\`, ` +
        '`secret`, `badSignature`, `skip`, `header`, `cacheControl`, `monotonicReads`, `affinity`, `pinStore`, `account`.',
    )
  })

  it.each([
    ['that has no end', 'x'.repeat(1_000_000)],
    ['that is a connection string', 'postgres://shop:hunter2@db/shop'],
  ])('and a name %s is not shown', async (_what, name) => {
    const [code, message] = await refusal(pinning({ [name]: 1 }))
    expect(code).toBe('ERR_WRITE_PINNING_UNKNOWN_OPTION')
    expect(message).toMatch(/^writePinning has no option of that name; it has `pinningSeconds`/)
  })
})
