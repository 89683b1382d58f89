import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, vi } from 'vitest'
import type { PostgresCluster, PostgresNode } from 'write-pinning/testing'
import { startShop } from '../support/cluster.ts'
import { openRequest } from '../support/request.ts'
import { clientsOf } from '../support/server-clients.ts'
import { type Ability, APPLICATION, type Client, type OpenClient, type Options } from './client.ts'
import { clients } from './clients.ts'

/** Holds each library to the same tests; with `abilities`, each that has all of them. */
export function contract(tests: (client: Client) => void, ...abilities: Ability[]): void {
  const able = clients.filter(({ has }) => abilities.every((ability) => has.has(ability)))
  describe.each(able)('over $name', tests)
}

/** A cluster for one file, which has nothing in its tables when a test begins. */
export async function startCluster(replicas = 1): Promise<PostgresCluster> {
  const cluster = await startShop(replicas)
  afterEach(async () => {
    await cluster.primary.query('truncate item, session restart identity')
    await cluster.waitForCatchup()
  })
  afterAll(() => cluster.stop())
  return cluster
}

/** Opens a library for the tests around it: its replicas are fit then, and the catalog is read. No test may leave a connection in use. */
export function opened(client: Client, cluster: PostgresCluster, options?: Options): () => OpenClient {
  let open: OpenClient | undefined
  const get = () => open as OpenClient
  beforeAll(async () => {
    open = await openFit(client, cluster, options)
  })
  afterEach(() => expectNothingInUse(get()))
  afterAll(async () => {
    await open?.close()
    await expectClosed(cluster)
  })
  return get
}

/** Opens a library for one test, which breaks something. */
export async function openFit(
  client: Client,
  cluster: PostgresCluster,
  options?: Options,
): Promise<OpenClient & AsyncDisposable> {
  const open = await client.open(cluster, options)
  await open.control.ready()
  await whenFit(open)
  // What an update of no row is worth is known once the catalog is read.
  await vi.waitFor(async () => {
    const request = openRequest()
    await request.run(() => open.rename('nobody', 'somebody'))
    expect(request.memory.wroteTo).toBeUndefined()
  }, WAIT)
  return {
    ...open,
    async [Symbol.asyncDispose]() {
      await expectNothingInUse(open)
      await open.close()
      await expectClosed(cluster)
    },
  }
}

/** Resolves once every replica may serve reads. */
export async function whenFit({ control }: OpenClient): Promise<void> {
  await vi.waitFor(() => {
    for (const node of control.status().nodes) expect(node, node.name).toMatchObject({ isFit: true })
  }, WAIT)
}

/** Has the replicas replay nothing while a test runs. */
export function withReplayPaused(cluster: PostgresCluster): void {
  beforeEach(async () => {
    for (const replica of cluster.replicas) await replica.pauseReplay()
  })
  afterEach(async () => {
    for (const replica of cluster.replicas) await replica.resumeReplay()
    await cluster.waitForCatchup()
  })
}

export const WAIT = { timeout: 20_000, interval: 10 }

/** Whatever a test took it has given back. */
async function expectNothingInUse({ control }: OpenClient): Promise<void> {
  await vi.waitFor(() => {
    for (const node of control.status().nodes) expect(node, node.name).toMatchObject({ busy: 0 })
  }, WAIT)
}

/** No server that runs has a session of it any more. */
async function expectClosed(cluster: PostgresCluster): Promise<void> {
  for (const node of cluster.nodes) {
    const runs = await node.query('select').then(
      () => true,
      () => false,
    )
    if (runs) await vi.waitFor(async () => expect(await clientsOf(node, APPLICATION)).toEqual([]), WAIT)
  }
}

/** The process id of the client on the node whose running statement is like that, as soon as there is one. */
export function running(node: PostgresNode, text: RegExp): Promise<number> {
  return vi.waitFor(async () => {
    const sessions = await clientsOf(node, APPLICATION)
    const found = sessions.find(({ state, query }) => state === 'active' && text.test(query))
    if (found === undefined) throw new Error(`nothing like ${text} is running on ${node.name}`)
    return found.pid
  }, WAIT)
}

/** Ends that client's backend, while it is running that statement. */
export async function terminateRunning(node: PostgresNode, text: RegExp): Promise<void> {
  await node.query('select pg_terminate_backend($1)', [await running(node, text)])
}
