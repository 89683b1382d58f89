import { describe, expect, test } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import { openDatabase } from '../support/cluster.ts'
import { inRequest, openRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { codeOf, warningsOf } from '../support/warnings.ts'

// The order matters: whether a request was ever opened is a fact of the process, and a test file has its own.
const { cluster } = useShop()

const MANY = 1_000

test('many reads without any context, ever, are worth one warning', async () => {
  await using db = openDatabase(cluster)
  const read = () => db.selectFrom('item').select('id').execute()
  const readOften = async (times: number) => {
    for (let i = 0; i < times; i++) await read()
  }
  expect(await warningsOf(() => readOften(MANY - 1))).toEqual([])
  expect(await warningsOf(() => readOften(1))).toEqual(['WRITE_PINNING_NO_CONTEXT'])
  expect(await warningsOf(() => readOften(MANY))).toEqual([])
})

test('reads in a scope, and writes, are no reads without a context', async () => {
  await using db = openDatabase(cluster)
  const read = () => db.selectFrom('item').select('id').execute()
  const warnings = await warningsOf(async () => {
    for (let i = 0; i < MANY / 2; i++) await useReplica(read)
    for (let i = 0; i < MANY / 2; i++) await db.deleteFrom('item').where('id', '=', 0).execute()
    for (let i = 1; i < MANY / 2; i++) await read()
  })
  expect(warnings).toEqual([])
})

test("`withoutContext: 'replica'` needs no warning", async () => {
  await using db = openDatabase(cluster, { withoutContext: 'replica' })
  const warnings = await warningsOf(async () => {
    for (let i = 0; i < MANY; i++) await db.selectFrom('item').select('id').execute()
  })
  expect(warnings).toEqual([])
})

test('a read without a context goes to the primary, unless the option says otherwise', async () => {
  await using db = openDatabase(cluster)
  await using split = openDatabase(cluster, { withoutContext: 'replica' })
  expect(await whereAndWhy(() => db.selectFrom('item').selectAll().execute())).toEqual([
    'primary: no-context',
  ])
  expect(await whereAndWhy(() => split.selectFrom('item').selectAll().execute())).toEqual([
    'replica: no-context',
  ])
  expect(await whereAndWhy(() => split.selectFrom('item').selectAll().forUpdate().execute())).toEqual([
    'primary: locking',
  ])
})

test('a scope without a request says where its reads go', async () => {
  await using db = openDatabase(cluster)
  await using split = openDatabase(cluster, { withoutContext: 'replica' })
  const read = (from: typeof db) => () => from.selectFrom('item').selectAll().execute()
  expect(await whereAndWhy(() => useReplica(read(db)))).toEqual(['replica: use-replica'])
  expect(await whereAndWhy(() => usePrimary(read(split)))).toEqual(['primary: use-primary'])
})

test('without replicas everything runs on the primary, and one warning says so', async () => {
  await using db = openDatabase(cluster, { replicas: [] })
  const read = () => db.selectFrom('item').selectAll().execute()
  const use = async () => {
    await Promise.all([read(), read(), db.insertInto('item').values({ name: 'a' }).execute()])
    for (let i = 0; i < MANY; i++) await read()
  }
  expect(await warningsOf(use)).toEqual(['WRITE_PINNING_NO_REPLICAS'])
  expect(await whereAndWhy(() => useReplica(read))).toEqual(['primary: no-replica'])
  expect(await whereAndWhy(() => inRequest(read))).toEqual(['primary: no-replica'])
  expect(await codeOf(() => db.transaction().setAccessMode('read only').execute(read))).toBeUndefined()
})

test('once a context was opened, reads without one are nothing to warn of', async () => {
  await using db = openDatabase(cluster)
  const warnings = await warningsOf(async () => {
    await inRequest(() => db.selectFrom('item').select('id').execute())
    for (let i = 0; i < MANY; i++) await db.selectFrom('item').select('id').execute()
  })
  expect(warnings).toEqual([])
})

describe('a pin that is shorter than replicas may be late', () => {
  const writeWith = (pinningMs: number, options: Partial<PrimaryReplicaDialectOptions> = {}) =>
    warningsOf(async () => {
      await using db = openDatabase(cluster, options)
      for (let i = 0; i < 2; i++) {
        await openRequest({ pinningMs }).run(() => db.insertInto('item').values({ name: 'a' }).execute())
      }
    })

  test('is named once', async () => {
    expect(await writeWith(10_000)).toEqual(['WRITE_PINNING_SHORT_PIN'])
    expect(await writeWith(1_000, { maxLagMs: 5_000 })).toEqual(['WRITE_PINNING_SHORT_PIN'])
  })

  test('is not named where it is long enough, or there are no replicas', async () => {
    expect(await writeWith(15_000)).toEqual([])
    expect(await writeWith(1_000, { maxLagMs: 500 })).toEqual([])
    expect(await writeWith(1_000, { replicas: [] })).toEqual(['WRITE_PINNING_NO_REPLICAS'])
  })
})
