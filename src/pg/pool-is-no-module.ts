import { WritePinningError } from '../errors.ts'

/**
 * Makes `new pool.Client()` and `new pool.Pool()` throw an error that says what to write instead. Only a library that
 * was given the pool in place of the module `pg` does that. With the `Client` of `pg`'s own pool, it would connect
 * without this pool.
 */
export function refuseAsModule(pool: object): void {
  refuse(pool, 'Client')
  refuse(pool, 'Pool')
}

function refuse(pool: object, name: string): void {
  const value = function refused(): never {
    throw new WritePinningError(
      'ERR_WRITE_PINNING_OPTION',
      `A library has asked a PrimaryReplicaPool for a \`${name}\`: it was given the pool where it takes the module \`pg\`. Give it \`pool.driver\`, ` +
        'as in `dialectModule: pool.driver` for Sequelize, and `driver: pool.driver` for TypeORM.',
    )
  }
  // The same as in `pg`'s own pool, which has a `Client` and no `Pool`.
  Object.defineProperty(pool, name, {
    value,
    configurable: true,
    enumerable: name in pool,
    writable: true,
  })
}
