import { type FastifyPluginAsync, fastify } from 'fastify'
import { describe, expect, it } from 'vitest'
import { markWrite, type Position } from 'write-pinning'
import { type WritePinningOptions, writePinning } from 'write-pinning/fastify'
import { sawPosition } from '../../src/freshness/memory.ts'
import type { Pin } from '../../src/freshness/pin.ts'
import { readToken } from '../../src/pinning/token.ts'
import { type Answer, pinCookie, UserAgent, valueOfCookie } from '../support/http.ts'
import { demandIn, memoryHere, positionOf, wroteTo } from '../support/positions.ts'
import { useShop } from '../support/shop.ts'
import { withResolvers } from '../support/with-resolvers.ts'

const { cluster, listen } = useShop()
const SECRET = 'a secret of at least thirty-two characters'

/** A write of the application's, and the position of it, as a dialect reads it. */
async function write(): Promise<Position> {
  await cluster.primary.query(`insert into item (name) values ('lamp')`)
  return positionOf(cluster.primary)
}

async function serve(routes: FastifyPluginAsync, options: WritePinningOptions = {}): Promise<UserAgent> {
  const app = fastify()
  await app.register(writePinning, { pin: 'exact', secret: SECRET, ...options })
  await app.register(routes)
  app.get('/demand', async () => show(demandIn()))
  app.get('/demand/stock', async () => show(demandIn('stock')))
  return (await listen(app))()
}

/** A requirement as JSON, whose bigint is a text there. */
function show(requirement: ReturnType<typeof demandIn>): string {
  return JSON.stringify(requirement, (_key, value) => (typeof value === 'bigint' ? String(value) : value))
}

async function demandOf(user: UserAgent, path = '/demand') {
  const { kind, position } = (await user.get(path)).json()
  return position === undefined ? kind : { ...position, lsn: BigInt(position.lsn) }
}

/** What the answer's cookie says. */
function pinOf(answer: Answer): Pin {
  const claim = readToken(valueOfCookie(pinCookie(answer)) ?? '')
  if (typeof claim === 'string') throw new Error(`The pin is ${claim}`)
  return claim.pin
}

/** What of it holds for one cluster. */
function partOf(pin: Pin, place = 'default') {
  return pin.kind === 'exact' ? pin.clusters.get(place) : undefined
}

describe('an exact pin', () => {
  it('holds the position of what the request has written, and nothing for other clusters', async () => {
    let position: Position | undefined
    const user = await serve(async (app) => {
      app.post('/items', async () => {
        wroteTo(
          'default',
          write().then((read) => {
            position = read
            return read
          }),
        )
        return 'done'
      })
    })
    expect(await demandOf(user)).toBe('any')
    const answer = await user.post('/items')
    expect(partOf(pinOf(answer))?.exact?.position).toEqual(position)
    expect(pinCookie(answer)).toContain('Max-Age=15')
    expect(await demandOf(user)).toEqual(position)
    expect(await demandOf(user, '/demand/stock')).toBe('any')
    expect((await user.get('/demand')).setCookies).toEqual([])
  })

  it('holds the position of each cluster that was written to, later ones beside those that were brought', async () => {
    const stock: Position = { systemId: '42', timeline: 3, lsn: 77n }
    const user = await serve(async (app) => {
      app.post('/items', async () => wroteTo('default', write()))
      app.post('/stock', async () => wroteTo('stock', Promise.resolve(stock)))
    })
    await user.post('/items')
    const before = await demandOf(user)
    await user.post('/stock')
    expect([await demandOf(user), await demandOf(user, '/demand/stock')]).toEqual([before, stock])
  })

  it.each([
    ['POST', 'that writes by other means'],
    ['GET', 'that says so itself'],
  ])('is a time pin of all clusters for a write that no router saw: a %s %s', async (method) => {
    const user = await serve(async (app) => {
      app.post('/', async () => 'done')
      app.get('/', async () => {
        wroteTo('default', write())
        markWrite()
        return 'done'
      })
    })
    expect((await user.request(method, '/')).headers['cache-control']).toBe('private')
    expect([await demandOf(user), await demandOf(user, '/demand/stock')]).toEqual(['primary', 'primary'])
  })

  it.each([
    ['is not offered', () => undefined],
    ['is undefined', async () => undefined],
    ['cannot be read', () => Promise.reject(new Error('no'))],
    ['never comes', () => new Promise<undefined>(() => {})],
  ])('is a time pin of its cluster where the position %s', async (_what, read) => {
    const user = await serve(async (app) => {
      app.post('/items', async () => {
        wroteTo('default', read())
        wroteTo('stock', write())
      })
    })
    const before = performance.now()
    await user.post('/items')
    expect(performance.now() - before).toBeLessThan(450) // 250 ms, and no second wait
    expect(await demandOf(user)).toBe('primary')
    expect(await demandOf(user, '/demand/stock')).toMatchObject({ timeline: 1 })
  })

  it("leaves the request's own reads on the primary", async () => {
    const user = await serve(async (app) => {
      app.get('/items', async () => {
        const position = write()
        wroteTo('default', position)
        await position
        return show(demandIn())
      })
    })
    expect((await user.get('/items')).json()).toEqual({ kind: 'primary', reason: 'own-write' })
  })

  it('says in request.writePin and on the channel what it is', async () => {
    const user = await serve(async (app) => {
      app.post('/items', async () => wroteTo('default', write()))
      app.get('/pin', async (request) => request.writePin)
    })
    await user.post('/items')
    expect((await user.get('/pin')).json()).toMatchObject({ pinned: true, reason: 'cookie' })
  })

  it('is honoured by a plugin with time pins, which other processes may have', async () => {
    const user = await serve(async (app) => {
      app.post('/items', async () => wroteTo('default', write()))
    })
    await user.post('/items')
    const other = await serve(async () => {}, { pin: 'time' })
    await other.forge((await user.pin()) ?? '')
    expect(await demandOf(other)).toEqual(await demandOf(user))
  })
})

describe('a response', () => {
  it('waits for what is left of the position, and no longer', async () => {
    const position = withResolvers<Position>()
    const handled = withResolvers<void>()
    const user = await serve(async (app) => {
      app.post('/items', async () => {
        wroteTo('default', position.promise)
        setImmediate(handled.resolve)
        return 'done'
      })
    })
    const answered = user.post('/items')
    await handled.promise
    position.resolve(await write())
    expect(partOf(pinOf(await answered))?.exact).toBeDefined()
  })

  it('waits for writes of whatever hook comes last, also in one that was added later', async () => {
    const app = fastify()
    await app.register(writePinning, { pin: 'exact', secret: SECRET })
    app.addHook('onSend', async () => wroteTo('default', write()))
    app.get('/', async () => 'done')
    const answer = await (await listen(app))().get('/')
    expect(partOf(pinOf(answer))?.exact).toBeDefined()
  })

  it.each(['/missing', '/fails', '/stream'])('of %s waits as well', async (path) => {
    const app = fastify()
    await app.register(writePinning, { pin: 'exact', secret: SECRET })
    app.setNotFoundHandler(async (_request, reply) => {
      wroteTo('default', write())
      return reply.code(404).send('not here')
    })
    app.get('/fails', async () => {
      wroteTo('default', write())
      throw new Error('no')
    })
    app.get('/stream', async (_request, reply) => {
      wroteTo('default', write())
      return reply.send(new Blob(['done']).stream())
    })
    const answer = await (await listen(app))().get(path)
    expect(partOf(pinOf(answer))?.exact).toBeDefined()
  })

  it('to a HEAD is that to a GET without its body', async () => {
    const user = await serve(async (app) => {
      app.get('/items', async () => {
        wroteTo('default', write())
        return 'done'
      })
    })
    const answer = await user.request('HEAD', '/items')
    expect([answer.body, answer.headers['content-length']]).toEqual(['', '4'])
    expect(partOf(pinOf(answer))?.exact).toBeDefined()
  })

  it('is never that of another of 200 requests at the same time: each covers its own write', async () => {
    const user = await serve(async (app) => {
      app.post('/items/:cluster', async (request) => {
        const { cluster: name } = request.params as { cluster: string }
        const position = await write()
        wroteTo(name, Promise.resolve(position))
        return String(position.lsn)
      })
    })
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const name = `cluster-${index % 10}`
        return [name, await new UserAgent(user.origin).post(`/items/${name}`)] as const
      }),
    )
    for (const [name, answer] of answers) {
      const pin = pinOf(answer)
      expect(pin.kind === 'exact' && [...pin.clusters.keys()]).toEqual([name])
      expect(partOf(pin, name)?.exact?.position.lsn).toBeGreaterThanOrEqual(BigInt(answer.body))
    }
  })

  it('that takes no hook carries a time pin where the position is open, and the position where it is known', async () => {
    const user = await serve(async (app) => {
      app.get('/open', async (_request, reply) => {
        reply.hijack()
        wroteTo('default', write())
        reply.raw.end('done')
      })
      app.get('/known', async (_request, reply) => {
        reply.hijack()
        const position = write()
        wroteTo('default', position)
        await position
        await Promise.all(memoryHere().written?.open ?? [])
        reply.raw.end('done')
      })
    })
    expect(partOf(pinOf(await user.get('/open')))).toMatchObject({ exact: undefined })
    await user.jar.removeAllCookies()
    expect(partOf(pinOf(await user.get('/known')))?.exact).toBeDefined()
  })

  it('that was slow does not put an older position over a newer one', async () => {
    const isWritten = withResolvers<void>()
    const goOn = withResolvers<void>()
    const user = await serve(async (app) => {
      app.post('/slow', async () => {
        wroteTo('default', write())
        await Promise.all(memoryHere().written?.open ?? [])
        isWritten.resolve()
        await goOn.promise
        return 'done'
      })
      app.post('/fast', async () => wroteTo('default', write()))
    })
    const slow = user.post('/slow')
    await isWritten.promise
    const fast = partOf(pinOf(await user.post('/fast')))?.exact?.position
    goOn.resolve()
    expect(partOf(pinOf(await slow))?.exact?.position).toEqual(fast)
  })

  it('keeps what the request had brought, for as long as that lasts', async () => {
    const user = await serve(
      async (app) => {
        app.post('/unseen', async () => 'done')
        app.post('/items', async () => wroteTo('default', write()))
      },
      { pinningSeconds: 15 },
    )
    const first = pinOf(await user.post('/unseen'))
    const second = pinOf(await user.post('/items'))
    expect(second).toMatchObject({ kind: 'exact', primaryUntilMs: first.untilMs })
    expect(await demandOf(user)).toBe('primary')
  })

  it('of a skipped request waits for nothing, and carries nothing', async () => {
    const user = await serve(
      async (app) => {
        app.post('/items', async () => {
          expect(memoryHere().wantsPositions).toBe(false)
          wroteTo('default', new Promise(() => {}))
          return 'done'
        })
      },
      { skip: () => true },
    )
    const answer = await user.post('/items')
    expect([answer.body, answer.setCookies]).toEqual(['done', []])
  })
})

describe('a header', () => {
  const header = 'X-Write-Pin'

  it('carries the same token as the cookie, in both directions', async () => {
    const user = await serve(
      async (app) => {
        app.post('/items', async () => wroteTo('default', write()))
        app.get('/pin', async (request) => request.writePin)
      },
      { header },
    )
    const answer = await user.post('/items')
    const token = answer.headers['x-write-pin'] as string
    expect(token).toBe(await user.pin())
    const app = new UserAgent(user.origin)
    const headers = { [header]: token }
    expect((await app.get('/demand', { headers })).json()).toMatchObject({ kind: 'atLeast', reason: 'pin' })
    expect((await app.get('/pin', { headers })).json()).toMatchObject({ pinned: true, reason: 'header' })
    expect((await app.get('/demand', { headers })).headers).not.toHaveProperty('x-write-pin')
  })

  it('and the cookie count together, and several copies of either', async () => {
    const user = await serve(
      async (app) => {
        app.post('/items', async () => wroteTo('default', write()))
        app.post('/stock', async () => wroteTo('stock', write()))
      },
      { header },
    )
    const item = (await user.post('/items')).headers['x-write-pin'] as string
    const stock = (await new UserAgent(user.origin).post('/stock')).headers['x-write-pin'] as string
    const kindsWith = async (headers: Record<string, string | string[]>) => {
      const other = new UserAgent(user.origin)
      const paths = ['/demand', '/demand/stock']
      return Promise.all(paths.map(async (path) => (await other.get(path, { headers })).json().kind))
    }
    expect(await kindsWith({ cookie: `write_pin=${item}`, [header]: stock })).toEqual(['atLeast', 'atLeast'])
    expect(await kindsWith({ [header]: [item, 'x', stock] })).toEqual(['atLeast', 'atLeast'])
    expect(await kindsWith({ cookie: `write_pin=${item}; write_pin=${stock}` })).toEqual([
      'atLeast',
      'atLeast',
    ])
    expect(await kindsWith({ [header]: `${item.slice(0, -1)}!` })).toEqual(['any', 'any'])
    expect(await kindsWith({ [header]: '' })).toEqual(['any', 'any'])
  })
})

describe('monotonicReads', () => {
  it('has a response carry what its reads have seen, where that is more than what was brought', async () => {
    const first = await write()
    let seen = first
    const user = await serve(
      async (app) => {
        app.get('/items', async () => {
          sawPosition(memoryHere(), 'default', seen)
          return 'done'
        })
      },
      { monotonicReads: true },
    )
    expect(partOf(pinOf(await user.get('/items')))?.exact?.position).toEqual(first)
    expect(await demandOf(user)).toEqual(first)
    expect((await user.get('/items')).setCookies).toEqual([])
    seen = await write()
    expect(partOf(pinOf(await user.get('/items')))?.exact?.position).toEqual(seen)
    expect((await user.get('/demand')).setCookies).toEqual([])
  })

  it('is off by default: reads set no cookie', async () => {
    const position = await write()
    const user = await serve(async (app) => {
      app.get('/items', async () => sawPosition(memoryHere(), 'default', position))
    })
    expect((await user.get('/items')).setCookies).toEqual([])
  })
})

describe('affinity', () => {
  it('is asked when it is needed, and until it gives a key', async () => {
    const asked: string[] = []
    const keys: (string | undefined)[] = []
    let user: string | undefined
    const agent = await serve(
      async (app) => {
        app.get('/items', async () => {
          keys.push(memoryHere().affinityKey?.())
          user = 'anna'
          keys.push(memoryHere().affinityKey?.(), memoryHere().affinityKey?.())
        })
      },
      {
        affinity: (request) => {
          asked.push(request.url)
          return user
        },
      },
    )
    await agent.get('/demand')
    await agent.get('/items')
    expect([keys, asked]).toEqual([
      [undefined, 'anna', 'anna'],
      ['/items', '/items'],
    ])
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    ['gives a promise', () => Promise.reject(new Error('no')) as never],
    ['gives a number', () => 5 as never],
  ])('that %s gives no key, and fails nothing', async (_what, affinity) => {
    const user = await serve(
      async (app) => {
        app.get('/items', async () => String(memoryHere().affinityKey?.()))
      },
      { affinity },
    )
    expect((await user.get('/items')).body).toBe('undefined')
  })
})
