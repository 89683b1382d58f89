import { type NumberBounds, OptionReader } from './options.ts'

/**
 * Reads a word from an environment variable. Gives undefined if the variable is not set, or empty.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for any other word.
 */
export function wordOfEnvironment<const Word extends string>(
  name: string,
  words: readonly Word[],
): Word | undefined {
  return readerOf(name, textOf(name)).oneOf(name, words, undefined)
}

/**
 * Reads a number from an environment variable. Gives undefined if the variable is not set, or empty.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for anything else than a number within the bounds.
 */
export function numberOfEnvironment(name: string, bounds: NumberBounds): number | undefined {
  const text = textOf(name)
  const given = text !== undefined && DECIMAL.test(text) ? Number(text) : text
  return readerOf(name, given).number(name, undefined, bounds)
}

function textOf(name: string): string | undefined {
  return process.env[name] || undefined
}

function readerOf(name: string, given: unknown): OptionReader<Record<string, unknown>> {
  return new OptionReader('The environment', { [name]: given })
}

// `Number()` alone also takes blanks, hexadecimal digits and exponents.
const DECIMAL = /^(\d+(\.\d*)?|\.\d+)$/
