// The entry `write-pinning/knex`: a client for Knex over the pool of `write-pinning/pg`.
export { knexClient, type PoolWithDriver } from './client.ts'
