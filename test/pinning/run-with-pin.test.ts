import { describe, expect, expectTypeOf, it } from 'vitest'
import { capturePin, markWrite, type RunWithPinOptions, runWithPin } from 'write-pinning'
import { demandIn, memoryHere, positionOf, wroteTo } from '../support/positions.ts'
import { useShop } from '../support/shop.ts'
import { warningsOf } from '../support/warnings.ts'

const { cluster } = useShop()
const SECRET = 'a secret of at least thirty-two characters'
const OTHER = 'another secret of thirty-two characters'

async function write() {
  await cluster.primary.query(`insert into item (name) values ('lamp')`)
  return positionOf(cluster.primary)
}

/** The token of a job that has written, signed. */
function written(options: RunWithPinOptions = {}, seconds?: number): Promise<string | undefined> {
  const work = async () => {
    wroteTo('default', write())
    return capturePin(seconds === undefined ? {} : { seconds })
  }
  return runWithPin(undefined, work, { pin: 'exact', secret: SECRET, ...options })
}

describe('runWithPin()', () => {
  it('gives what its function gives, now or later, and throws what it throws', async () => {
    expectTypeOf(runWithPin(undefined, () => 5)).toEqualTypeOf<number>()
    expect(runWithPin(undefined, () => 5)).toBe(5)
    expect(await runWithPin(undefined, async () => 'later')).toBe('later')
    expect(() =>
      runWithPin(undefined, () => {
        throw new RangeError('no')
      }),
    ).toThrow(RangeError)
    await expect(runWithPin(undefined, () => Promise.reject(new RangeError('no')))).rejects.toThrow(
      RangeError,
    )
  })

  it('demands nothing without a token', () => {
    for (const token of [undefined, null as never]) {
      expect(runWithPin(token, () => demandIn())).toMatchObject({ kind: 'any' })
    }
  })

  it("demands the token's position of its reads, and the primary after its own writes", async () => {
    const position = await write()
    const token = await written()
    const options = { secret: SECRET }
    expect(token).toMatch(/^2[\w-]{3}\./)
    await runWithPin(
      token,
      async () => {
        const demand = demandIn()
        expect(demand).toMatchObject({ kind: 'atLeast', position: { systemId: position.systemId } })
        expect(demandIn('stock')?.kind).toBe('any')
        wroteTo('default', write())
        expect(demandIn()).toEqual({ kind: 'primary', reason: 'own-write' })
      },
      options,
    )
    expect(runWithPin(token, () => demandIn(), options)?.kind).toBe('atLeast')
  })

  it('hands the token on, raised by what it has written', async () => {
    const token = await written()
    const again = await runWithPin(token, () => capturePin(), { secret: SECRET })
    expect(again).toBe(token)
    const raised = await runWithPin(
      token,
      async () => {
        wroteTo('stock', write())
        return capturePin()
      },
      { secret: SECRET },
    )
    const demands = runWithPin(raised, () => [demandIn()?.kind, demandIn('stock')?.kind], { secret: SECRET })
    expect(demands).toEqual(['atLeast', 'atLeast'])
  })

  it('of one inside another takes the secret of the outer', async () => {
    const token = await written()
    const inner = await runWithPin(token, () => runWithPin(token, () => capturePin()), { secret: SECRET })
    expect(inner).toBe(token)
  })

  it('keeps its writes to itself', async () => {
    await runWithPin(undefined, async () => {
      await runWithPin(undefined, async () => markWrite())
      expect(await capturePin()).toBeUndefined()
    })
  })

  it('sends reads to the primary for a token that is worth nothing, and says so once', async () => {
    const token = (await written()) ?? ''
    const bad = [token.slice(0, -1), 'x', '', 5 as never, `1t${(Date.now() + 90_000_000).toString(36)}`]
    const warnings = await warningsOf(() => {
      for (const each of [...bad, ...bad]) {
        const demand = runWithPin(each, () => demandIn(), { secret: SECRET })
        expect(demand, String(each)).toEqual({ kind: 'primary', reason: 'pin' })
      }
      expect(runWithPin(token, () => demandIn(), { secret: OTHER })?.kind).toBe('primary')
      expect(runWithPin(token, () => demandIn(), { secret: SECRET, cookieName: 'x' })?.kind).toBe('primary')
    })
    expect(warnings).toEqual(Array(2).fill('WRITE_PINNING_BAD_TOKEN')) // malformed, bad signature
  })

  it('takes a token that is further ahead than a day for one of a day', async () => {
    const far = `1t${(Date.now() + 1e12).toString(36)}`
    const carried = runWithPin(far, () => memoryHere().carried)
    expect(carried?.untilMs).toBeLessThanOrEqual(Date.now() + 86_400_000)
    expect(carried?.untilMs).toBeGreaterThan(Date.now() + 86_000_000)
  })

  it('demands nothing for one that is over', () => {
    const over = `1t${(Date.now() - 1).toString(36)}`
    expect(runWithPin(over, () => demandIn())?.kind).toBe('any')
  })

  it('holds what it has written no longer than a pin, where it goes on', async () => {
    let memory: ReturnType<typeof memoryHere> | undefined
    await runWithPin(
      undefined,
      async () => {
        markWrite()
        memory = memoryHere()
      },
      { pinningSeconds: 7 },
    )
    expect(memory?.freshUntilMs).toBeLessThanOrEqual(Date.now() + 7_000)
  })

  it.each<[string, unknown]>([
    ['a typing error', { secrets: SECRET }],
    ['a short secret', { secret: 'short' }],
    ['a secret that is not set', { secret: undefined }],
    ['no time', { pinningSeconds: 0 }],
    ['an unknown pin', { pin: 'always' }],
    ['a cookie name that is none', { cookieName: 5 }],
    ['a store that is none', { pinStore: {} }],
    ['options that are none', 'x'],
  ])('refuses %s', (_what, options) => {
    expect(() => runWithPin(undefined, () => 1, options as RunWithPinOptions)).toThrow(/runWithPin\(\)/)
  })

  it('refuses to run nothing', () => {
    expect(() => runWithPin(undefined, undefined as never)).toThrow(/function to run/)
  })
})

describe('capturePin()', () => {
  it('gives nothing outside any request, and nothing where nothing is known', async () => {
    expect(await capturePin()).toBeUndefined()
    expect(await runWithPin(undefined, () => capturePin())).toBeUndefined()
  })

  it('gives what lasts as long as it is told', async () => {
    const token = await written({}, 3_600)
    const until = (text: string) => Number.parseInt(/^2...\.e([0-9a-z]+)~/.exec(text)?.[1] ?? '', 36)
    expect(until(token ?? '')).toBeGreaterThan(Date.now() + 3_590_000)
    expect(runWithPin(token, () => demandIn(), { secret: SECRET })?.kind).toBe('atLeast')
    const longer = await runWithPin(token, () => capturePin({ seconds: 7_200 }), { secret: SECRET })
    expect(until(longer ?? '')).toBeGreaterThan(Date.now() + 7_190_000)
  })

  it('gives a time pin where the position is not known in time, or the write was not seen', async () => {
    const never = () => wroteTo('default', new Promise(() => {}))
    for (const fn of [never, markWrite]) {
      const token = await runWithPin(
        undefined,
        async () => {
          fn()
          return capturePin()
        },
        { pin: 'exact' },
      )
      expect(runWithPin(token, () => demandIn())).toEqual({ kind: 'primary', reason: 'pin' })
    }
  })

  it.each([{ seconds: 0 }, { seconds: '5' }, { second: 5 }, { seconds: 86_401 }])(
    'refuses %j',
    async (options) => {
      await expect(capturePin(options as never)).rejects.toThrow(/capturePin\(\)/)
    },
  )
})
