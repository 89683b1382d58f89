import { describe, expect, expectTypeOf, it } from 'vitest'
import { OptionReader } from '../src/options.ts'

interface QueueOptions {
  order?: 'first' | 'last'
  size?: number
  choose?: 'any' | ((names: string[]) => string)
  onEmpty?: () => void
}

const KNOWN = ['order', 'size', 'choose', 'onEmpty'] as const
const SIZE = { min: 1, max: 9, expected: 'a number from 1 to 9' }

const reader = (given: unknown) => new OptionReader<QueueOptions>('openQueue()', given, KNOWN)

describe('options that are read', () => {
  it('have the type of what they can be, and their default where they are not given', () => {
    const read = reader({ onEmpty: undefined })
    const order = read.oneOf('order', ['first', 'last'], 'first')
    const size = read.number('size', undefined, SIZE)
    const choose = read.oneOfOrFunction('choose', ['any'], 'any')
    const onEmpty = read.function('onEmpty')
    expectTypeOf(order).toEqualTypeOf<'first' | 'last'>()
    expectTypeOf(size).toEqualTypeOf<number | undefined>()
    expectTypeOf(choose).toEqualTypeOf<'any' | ((names: string[]) => string)>()
    expectTypeOf(onEmpty).toEqualTypeOf<(() => void) | undefined>()
    expect({ order, size, choose, onEmpty }).toEqual({
      order: 'first',
      size: undefined,
      choose: 'any',
      onEmpty: undefined,
    })
    // @ts-expect-error what was given is nothing that anyone knows before it is read
    expect(read.given.size > 1).toBe(false)
    // @ts-expect-error no option has this name
    expect(read.boolean('isOpen', true)).toBe(true)
  })

  it('are refused by their name and their owner, with what is right', () => {
    expect(() => reader({ size: 10 }).number('size', 1, SIZE)).toThrow(
      'openQueue(): `size` must be a number from 1 to 9, and got the number 10.',
    )
    expect(() => reader({ sise: 1 })).toThrow(
      'openQueue() has no option `sise`; did you mean `size`? It has `order`, `size`, `choose`, `onEmpty`.',
    )
  })

  it('within another option are refused by the names of both', () => {
    const within = (given: unknown) =>
      new OptionReader<QueueOptions>('serve', given, KNOWN, { within: 'queue' })
    expect(() => within({ size: 0 }).number('size', 1, SIZE)).toThrow('serve: `queue.size` must be')
    expect(() => within({ sise: 1 })).toThrow('serve: `queue` has no option `sise`')
    expect(() => within([])).toThrow('serve: `queue` takes an object of options, and got an array.')
  })
})
