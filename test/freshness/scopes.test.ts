import { describe, expect, test } from 'vitest'
import { markWrite, useNode, usePrimary, useReplica, WritePinningError, withoutPin } from 'write-pinning'
import {
  currentContext,
  openRequestContext,
  requirementHere,
  runInContext,
} from '../../src/freshness/context.ts'
import { createMemory } from '../../src/freshness/memory.ts'

/** What a read demands here, and whether writes count, in one line. */
const here = () => {
  const context = currentContext()
  const requirement = requirementHere(context, 'default')
  return `${requirement?.reason ?? 'nothing'}${context?.countsWrites === false ? ', unpinned' : ''}`
}
const tick = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('scopes nest, and the innermost wins', () => {
  test('each gives the result of its function and restores what was before', () => {
    const seen: string[] = []
    const result = usePrimary(() => {
      seen.push(here())
      useReplica(() => {
        seen.push(here())
        withoutPin(() => {
          seen.push(here())
          useNode('reporting', () => seen.push(here()))
          seen.push(here())
        })
        usePrimary(() => seen.push(here()))
        seen.push(here())
      })
      seen.push(here())
      return 'a result'
    })
    expect(result).toBe('a result')
    expect(seen).toEqual([
      'use-primary',
      'use-replica',
      'use-replica, unpinned',
      'use-node, unpinned',
      'use-replica, unpinned',
      'use-primary',
      'use-replica',
      'use-primary',
    ])
    expect(currentContext()).toBeUndefined()
  })

  test('also where they are left by a throw', () => {
    useReplica(() => {
      expect(() =>
        usePrimary(() => {
          throw new Error('thrown through')
        }),
      ).toThrow('thrown through')
      expect(here()).toBe('use-replica')
    })
    expect(here()).toBe('nothing')
  })

  test('also where they are left by a rejection', async () => {
    await useReplica(async () => {
      const failing = usePrimary(async () => {
        await tick()
        expect(here()).toBe('use-primary')
        throw new Error('rejected through')
      })
      await expect(failing).rejects.toThrow('rejected through')
      expect(here()).toBe('use-replica')
    })
    expect(here()).toBe('nothing')
  })

  test('in concurrent branches that do not see each other', async () => {
    const branch = (scope: typeof usePrimary, expected: string) =>
      scope(async () => {
        for (let i = 0; i < 20; i++) {
          await tick()
          expect(here()).toBe(expected)
        }
      })
    await Promise.all([
      branch(usePrimary, 'use-primary'),
      branch(useReplica, 'use-replica'),
      branch(withoutPin, 'nothing, unpinned'),
      usePrimary(() =>
        Promise.all([branch(useReplica, 'use-replica'), branch(withoutPin, 'use-primary, unpinned')]),
      ),
    ])
  })

  test('around a request they hide it, inside they share its memory', () => {
    const memory = createMemory(15_000, undefined, false)
    runInContext(openRequestContext(memory), () => {
      usePrimary(() => markWrite())
      expect(here()).toBe('own-write')
      expect(useReplica(here)).toBe('use-replica')
    })
    expect(memory.markedWrite).toBe(true)
  })
})

test('markWrite() outside a request does nothing', () => {
  expect(markWrite()).toBeUndefined()
  expect(usePrimary(markWrite)).toBeUndefined()
})

describe('wrap', () => {
  test('gives a function that runs in the scope at each call, with its `this` and its arguments', async () => {
    const shop = {
      name: 'shop',
      describe: usePrimary.wrap(function (this: { name: string }, first: number, second: string) {
        return [this.name, first, second, here()]
      }),
      later: useNode.wrap('reporting', async (first: number) => {
        await tick()
        return [first, here()]
      }),
    }
    expect(shop.describe(1, 'two')).toEqual(['shop', 1, 'two', 'use-primary'])
    expect(await shop.later(2)).toEqual([2, 'use-node'])
    expect(await useReplica(() => shop.later(3))).toEqual([3, 'use-node'])
    expect(here()).toBe('nothing')
  })

  test('nests as the scopes do', () => {
    expect(usePrimary.wrap(useReplica.wrap(here))()).toBe('use-replica')
    expect(withoutPin.wrap(usePrimary.wrap(here))()).toBe('use-primary, unpinned')
  })

  test('keeps the name and the length by which frameworks tell handlers apart', () => {
    function onError(_error: Error, _request: object, _response: object, _next: () => void): void {}
    const wrapped = usePrimary.wrap(onError)
    expect([wrapped.name, wrapped.length]).toEqual(['onError', 4])
    expect(useNode.wrap('reporting', onError)).toHaveLength(4)
  })

  test('throws what the function throws', () => {
    const failing = useReplica.wrap(() => {
      throw new Error('from inside')
    })
    expect(failing).toThrow('from inside')
    expect(here()).toBe('nothing')
  })
})

const lazily = (then: PromiseLike<string>['then']) => ({ then }) as PromiseLike<string>

describe('what a scope returns does not run outside of it', () => {
  test('a lazy thenable is started inside', async () => {
    const lazy = lazily((resolve, reject) => Promise.resolve(here()).then(resolve, reject))
    expect(await usePrimary(() => lazy)).toBe('use-primary')
    expect(await usePrimary(() => useReplica(() => lazy))).toBe('use-replica')
    expect(await usePrimary(async () => lazy)).toBe('use-primary')
  })

  test('so is a promise that starts when somebody waits for it', async () => {
    class LazyQuery extends Promise<string> {}
    const query = LazyQuery.resolve('never asked')
    // biome-ignore lint/suspicious/noThenProperty: that is how such a query builder works.
    query.then = (resolve, reject) => Promise.resolve(here()).then(resolve, reject)
    expect(await usePrimary(() => query)).toBe('use-primary')
  })

  test('a thenable that fails rejects', async () => {
    const failing = lazily((resolve, reject) => Promise.reject(new Error('from then')).then(resolve, reject))
    await expect(usePrimary(() => failing)).rejects.toThrow('from then')
  })

  test('a generator keeps the scope in which it was made, to its end', async () => {
    const seen: string[] = []
    async function* rows() {
      try {
        for (;;) {
          await tick()
          seen.push(here())
          yield here()
        }
      } finally {
        seen.push(`end: ${here()}`)
      }
    }
    for await (const row of usePrimary(rows)) {
      expect(row).toBe('use-primary')
      expect(here()).toBe('nothing')
      break
    }
    expect(seen).toEqual(['use-primary', 'end: use-primary'])

    const late = await useReplica(async () => rows())
    expect((await late.next()).value).toBe('use-replica')
    await expect(late.throw(new Error('no more'))).rejects.toThrow('no more')
    expect(seen.at(-1)).toBe('end: use-replica')

    const nested = usePrimary(() => useReplica(rows))
    expect((await nested.next()).value).toBe('use-replica')
    await nested.return(undefined)

    {
      await using disposable = usePrimary(rows) as AsyncGenerator<string> & AsyncDisposable
      await disposable.next()
    }
    expect(seen.at(-1)).toBe('end: use-primary')
  })

  test('what only looks like a query is given back as it is', () => {
    const command = { execute: () => 'done' }
    expect(usePrimary(() => command)).toBe(command)
    expect(usePrimary(() => null)).toBeNull()
  })
})

test('a scope without a function, or without a name, is refused', () => {
  const calls: (() => unknown)[] = [
    () => usePrimary(undefined as never),
    () => useReplica('item' as never),
    () => withoutPin.wrap(undefined as never),
    () => useNode('', here),
    () => useNode(here as never, undefined as never),
    () => useNode('reporting', undefined as never),
    () => useNode.wrap(undefined as never, here),
  ]
  for (const call of calls) {
    expect(call).toThrow(WritePinningError)
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_WRITE_PINNING_OPTION' }))
  }
})
