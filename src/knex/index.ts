export { knexClient, type PoolWithDriver } from './client.ts'
