/** The entry `write-pinning/stores`: where the pins of accounts are kept. */
export type { PinStore } from '../pinning/pin-store.ts'
export { type MemoryPinStoreOptions, memoryPinStore } from './memory-pin-store.ts'
export {
  type IoredisClientLike,
  type RedisClientLike,
  type RedisPinStoreOptions,
  redisPinStore,
} from './redis-pin-store.ts'
