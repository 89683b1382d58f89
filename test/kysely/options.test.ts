import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { WritePinningError } from 'write-pinning'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'

const URL = 'postgres://shop@127.0.0.1:1/shop'

/** What constructing the dialect throws: its code and its message. */
function refusal(options: unknown): [code: string, message: string] {
  try {
    new PrimaryReplicaDialect(options as never)
  } catch (error) {
    if (error instanceof WritePinningError) return [error.code, error.message]
    throw error
  }
  return ['', 'nothing was refused']
}

const given = (options: object) => ({ primary: URL, replicas: [URL], ...options })

test('the least that it takes is accepted', () => {
  expect(refusal({ primary: URL, replicas: [] })).toEqual(['', 'nothing was refused'])
  expect(refusal(given({ name: undefined, cursor: undefined, withoutContext: undefined }))[0]).toBe('')
})

describe('an option with a wrong value is refused, by name', () => {
  const wrong: [name: string, value: unknown][] = [
    ['name', ''],
    ['name', 7],
    ['withoutContext', 'both'],
    ['withoutContext', null],
    ['primaryTables', 'session'],
    ['primaryTables', [7]],
    ['primaryTables', ['']],
    ['unpinnedTables', { session: true }],
    ['unpinnedTables', [' ']],
    ['mode', 'off'],
    ['mode', null],
    ['replicaShare', 1.1],
    ['replicaShare', '0.5'],
    ['replicas', undefined],
    ['replicas', URL],
    ['cursor', {}],
    ['controlClient', 'pg'],
    ['onCreateConnection', true],
    ['onReserveConnection', 1],
  ]
  for (const [name, value] of wrong) {
    test(`${name}: ${JSON.stringify(value)}`, () => {
      const [code, message] = refusal(given({ [name]: value }))
      expect(code).toBe('ERR_WRITE_PINNING_OPTION')
      expect(message).toMatch(new RegExp(`\`${name}(\\[0\\])?\``))
    })
  }

  for (const options of [undefined, null, [], 'postgres://…']) {
    test(`options that are ${JSON.stringify(options)}`, () => {
      expect(refusal(options)[0]).toBe('ERR_WRITE_PINNING_OPTION')
    })
  }
})

test('an option that does not exist is refused, on the dialect and on a node', () => {
  expect(refusal(given({ replica: URL }))[0]).toBe('ERR_WRITE_PINNING_UNKNOWN_OPTION')
  expect(refusal({ primary: URL, replicas: [{ pool: URL, url: URL }] })[0]).toBe(
    'ERR_WRITE_PINNING_UNKNOWN_OPTION',
  )
  const [code, message] = refusal({ primary: { name: 'main', connectionString: URL }, replicas: [] })
  expect(code).toBe('ERR_WRITE_PINNING_UNKNOWN_OPTION')
  expect(message).toContain('`connectionString`')
})

describe('a wrong option about nodes is refused', () => {
  const wrong: Record<string, unknown[]> = {
    choose: ['least-bussy', 1, null],
    maxLagMs: [-1, '10s', Number.NaN, Number.POSITIVE_INFINITY],
    maxLagBytes: [-1, '1 MB'],
    lagSource: ['heartbeat', 7],
    whenNoReplica: ['replica', true],
    probeIntervalMs: [0, 9, '1s'],
    probeTimeoutMs: [0, 4_000_000],
    connectTimeoutMs: [0, -1, 3_000_000_000],
    readTimeoutMs: [0, '5s'],
    failover: ['yes', 1],
    lookup: ['dns', {}],
  }
  for (const [name, values] of Object.entries(wrong)) {
    test(name, () => {
      for (const value of values) {
        const [code, message] = refusal(given({ [name]: value }))
        expect(code).toBe('ERR_WRITE_PINNING_OPTION')
        expect(message).toContain(`\`${name}\``)
      }
    })
  }

  test.each([
    ['maxLagBytes', { maxLagBytes: 1_000_000 }],
    ['failover: true', { failover: true }],
  ])('%s, which goes by positions, beside a `lagSource` that reads none', (name, option) => {
    for (const lagSource of ['aurora', () => 0]) {
      const [code, message] = refusal(given({ lagSource, ...option }))
      expect(code).toBe('ERR_WRITE_PINNING_OPTION')
      expect(message).toContain(`\`${name}\` has no effect with`)
      expect(message).toContain('`lagSource')
    }
    expect(() => new PrimaryReplicaDialect(given({ lagSource: 'wal', ...option }) as never)).not.toThrow()
    expect(
      () => new PrimaryReplicaDialect(given({ lagSource: 'aurora', failover: false }) as never),
    ).not.toThrow()
  })

  const wrongOfNode: Record<string, unknown[]> = {
    weight: [-1, 'heavy'],
    maxLagMs: [-1, '1s'],
    maxLifetimeSeconds: [0, '1h'],
    loadBalanced: ['yes'],
    discover: ['db', { host: '' }, { host: 'db', intervalMs: 1 }],
  }
  for (const [name, values] of Object.entries(wrongOfNode)) {
    test(`${name} of a node`, () => {
      for (const value of values) {
        const [code, message] = refusal({ primary: URL, replicas: [{ pool: URL, [name]: value }] })
        expect(code).toBe('ERR_WRITE_PINNING_OPTION')
        expect(message).toContain(name)
      }
    })
  }

  test('what only a replica can have, of the primary', () => {
    for (const name of ['weight', 'maxLagMs', 'loadBalanced', 'discover']) {
      const [code] = refusal({ primary: { pool: URL, [name]: 1 }, replicas: [] })
      expect(code).toBe('ERR_WRITE_PINNING_UNKNOWN_OPTION')
    }
  })

  test('`discover` with a pool that is made already', () => {
    const pools = [new pg.Pool({ connectionString: URL }), () => new pg.Pool({ connectionString: URL })]
    for (const pool of pools) {
      expect(refusal({ primary: URL, replicas: [{ pool, discover: { host: 'db' } }] })[0]).toBe(
        'ERR_WRITE_PINNING_OPTION',
      )
    }
  })
})

describe('a node without a connection string is refused, because pg would go to localhost', () => {
  const nodes: Record<string, unknown> = {
    undefined: undefined,
    null: null,
    'an empty string': '',
    'a string of spaces': '  ',
    'a configuration with an undefined one': { connectionString: undefined },
    'a configuration with an empty one': { connectionString: '' },
    'a configuration with spaces': { connectionString: ' ' },
    'a pool with an undefined one': new pg.Pool({ connectionString: undefined } as never),
    'a pool with an empty one': new pg.Pool({ connectionString: '' }),
    'a node object without a pool': { name: 'main' },
    'a node object with an undefined pool': { pool: undefined },
    'a node object with an empty string': { name: 'main', pool: '' },
    'a node object with a pool with an undefined one': {
      pool: new pg.Pool({ connectionString: undefined } as never),
    },
  }
  for (const [name, node] of Object.entries(nodes)) {
    test(name, () => {
      const asPrimary = refusal({ primary: node, replicas: [] })
      expect(asPrimary[0]).toBe('ERR_WRITE_PINNING_NODE')
      expect(asPrimary[1]).toContain('`primary`')
      const asReplica = refusal({ primary: URL, replicas: [URL, node] })
      expect(asReplica[0]).toBe('ERR_WRITE_PINNING_NODE')
      expect(asReplica[1]).toContain('`replicas[1]`')
    })
  }
})

describe('a node that is no node is refused', () => {
  for (const node of [7, true, [], new pg.Client(URL)]) {
    test(Array.isArray(node) ? 'an array' : `a ${node.constructor.name}`, () => {
      expect(refusal({ primary: node, replicas: [] })[0]).toBe('ERR_WRITE_PINNING_NODE')
    })
  }

  for (const name of ['', 7, null]) {
    test(`the name ${JSON.stringify(name)}`, () => {
      expect(refusal({ primary: { name, pool: URL }, replicas: [] })[0]).toBe('ERR_WRITE_PINNING_NODE')
    })
  }
})

test('a name is one node’s, and so is a pool', () => {
  const pool = new pg.Pool({ connectionString: URL })
  const same: unknown[] = [
    { primary: { name: 'a', pool: URL }, replicas: [{ name: 'a', pool: URL }] },
    { primary: { name: 'replica-1', pool: URL }, replicas: [URL] },
    { primary: URL, replicas: [{ name: 'primary', pool: URL }] },
    { primary: pool, replicas: [pool] },
    { primary: { pool }, replicas: [URL, { name: 'b', pool }] },
    { primary: URL, replicas: [pool, pool] },
  ]
  expect(same.map((options) => refusal(options)[0])).toEqual(same.map(() => 'ERR_WRITE_PINNING_NODE'))
})

test('an error names the kind of a wrong value, and never the value: it may hold a password', () => {
  const secret = 'postgres://shop:hunter2@db/shop'
  const messages = [
    refusal({ primary: URL, replicas: secret }),
    refusal(given({ name: [secret] })),
    refusal(given({ withoutContext: secret })),
    refusal(given({ cursor: { secret } })),
    refusal({ primary: [secret], replicas: [] }),
  ].join('\n')
  expect(messages).not.toContain('hunter2')
})
