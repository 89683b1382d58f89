import { isString, OptionReader, optionError } from '../options.ts'
import type { PinStore } from '../pinning/pin-store.ts'
import { pinOfFields, RAISE, writtenFields } from './redis-pin.ts'

/** The part of a client of the package `redis` (4 and later) that is used here. */
export interface RedisClientLike {
  hGetAll(key: string): Promise<object>
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>
}

/** The part of a client of the package `ioredis` that is used here. */
export interface IoredisClientLike {
  hgetall(key: string): Promise<object>
  eval(script: string, numberOfKeys: number, ...keysAndArguments: string[]): Promise<unknown>
}

/** The options of {@link redisPinStore}. */
export interface RedisPinStoreOptions {
  /** What the keys begin with; the account follows. Default: `'write-pinning:'`. */
  prefix?: string
}

/**
 * Keeps the pins of accounts on Redis, for a service of several processes.
 *
 * The client is yours: of the package `redis` or `ioredis`, connected, and with an `error` listener. It is used for
 * `HGETALL` and `EVAL` of one key each, and never closed. A key is deleted when its pin is over.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` or `ERR_WRITE_PINNING_UNKNOWN_OPTION` for a wrong option, or
 * without a client.
 * @example
 * const redis = await createClient({ url: process.env.REDIS_URL }).on('error', console.error).connect()
 * // accountOf() is yours: it gives the account that a request is logged in to, or undefined.
 * await app.register(writePinning, { pinStore: redisPinStore(redis), account: accountOf })
 */
export function redisPinStore(
  client: RedisClientLike | IoredisClientLike,
  options: RedisPinStoreOptions = {},
): PinStore {
  const read = new OptionReader<RedisPinStoreOptions>(WHERE, options, ['prefix'])
  const prefix = read.value('prefix', 'write-pinning:', isString, 'a text')
  const commands = commandsOf(client)
  return {
    get: async (account) => pinOfFields(await commands.read(prefix + account), Date.now()),
    raise: async (account, pin) => {
      await commands.run(RAISE, prefix + account, writtenFields(pin))
    },
  }
}

const WHERE = 'redisPinStore()'

interface Commands {
  read(key: string): Promise<object>
  run(script: string, key: string, values: string[]): Promise<unknown>
}

function commandsOf(client: RedisClientLike | IoredisClientLike): Commands {
  const given: unknown = client
  if (typeof given === 'object' && given !== null && 'eval' in given && typeof given.eval === 'function') {
    // Only `redis` has `hGetAll` in this spelling; `ioredis` has `hgetall`.
    if (isRedis(client)) {
      return {
        read: (key) => client.hGetAll(key),
        run: (script, key, values) => client.eval(script, { keys: [key], arguments: values }),
      }
    }
    if (typeof client.hgetall === 'function') {
      return {
        read: (key) => client.hgetall(key),
        run: (script, key, values) => client.eval(script, 1, key, ...values),
      }
    }
  }
  throw optionError(WHERE, 'client', given, 'a client of the package `redis` (4 and later) or `ioredis`')
}

function isRedis(client: RedisClientLike | IoredisClientLike): client is RedisClientLike {
  return 'hGetAll' in client && typeof client.hGetAll === 'function'
}
