import { afterAll, afterEach, beforeEach, expect, vi } from 'vitest'
import type { PostgresCluster } from 'write-pinning/testing'
import { openDatabase, startShop } from '../support/cluster.ts'
import { whereAndWhyInRequest } from '../support/request.ts'

/** A shop whose replicas lag: they replay nothing while a test runs, and have caught up before the next. */
export async function startLaggingShop(): Promise<{
  readonly cluster: PostgresCluster
  readonly db: ReturnType<typeof openDatabase>
  insert(): Promise<unknown>
  read(): Promise<unknown[]>
}> {
  const cluster = await startShop(2)
  const db = openDatabase(cluster, { unpinnedTables: ['session'] })
  const read = () => db.selectFrom('item').selectAll().execute()
  // A replica that is late from the start serves nobody: what makes it late comes after it was known to be fit.
  await vi.waitFor(async () => expect(await whereAndWhyInRequest(read)).toEqual(['replica: read']), {
    timeout: 20_000,
  })

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
    read,
  }
}
