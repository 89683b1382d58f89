import { afterAll, afterEach, beforeEach } from 'vitest'
import type { PostgresCluster } from 'write-pinning/testing'
import { openDatabase, startShop } from '../support/cluster.ts'

/** A shop whose replicas lag: they replay nothing while a test runs, and have caught up before the next. */
export async function startLaggingShop(): Promise<{
  readonly cluster: PostgresCluster
  readonly db: ReturnType<typeof openDatabase>
  insert(): Promise<unknown>
  read(): Promise<unknown[]>
}> {
  const cluster = await startShop(2)
  const db = openDatabase(cluster, { unpinnedTables: ['session'] })

  beforeEach(async () => {
    for (const replica of cluster.replicas) await replica.pauseReplay()
  })

  afterEach(async () => {
    for (const replica of cluster.replicas) await replica.resumeReplay()
    await cluster.primary.query('truncate item, session')
    await cluster.waitForCatchup()
  })

  afterAll(async () => {
    await db.destroy()
    await cluster.stop()
  })

  return {
    cluster,
    db,
    insert: () => db.insertInto('item').values({ name: 'lamp' }).execute(),
    read: () => db.selectFrom('item').selectAll().execute(),
  }
}
