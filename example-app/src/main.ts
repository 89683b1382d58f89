import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WritePinningError } from 'write-pinning'
import { startPostgresCluster } from 'write-pinning/testing'
import { buildApp } from './app.ts'
import { address, checkServers, waitForMigrations } from './check-servers.ts'
import { openDatabase } from './database/open.ts'
import { nameServers, type Servers } from './database/servers.ts'
import type { ShopDatabase } from './database/shop-database.ts'
import { buildExpressApp } from './express-app.ts'
import { migrate } from './migrations.ts'
import { portError, tryPort } from './port.ts'
import { readSettings } from './settings.ts'
import { StartError } from './start-error.ts'

const REPLICAS = 2
const LATE_MS = 2_000

const interrupt = new AbortController()
const { signal } = interrupt
// These listeners stay until the process ends: a second Ctrl-C must not cut the clean-up short.
process.on('SIGINT', () => interrupt.abort())
process.on('SIGTERM', () => interrupt.abort())

/** Everything that is open, in the order in which it was opened. */
const open: { close(): Promise<unknown> }[] = []

try {
  await start()
  if (!signal.aborted) await once(signal, 'abort')
} catch (error) {
  if (!signal.aborted) fail(error)
} finally {
  if (signal.aborted) say('\nStopping …')
  for (const { close } of open.reverse()) await close().catch(fail)
  if (signal.aborted) say('Stopped.')
}

async function start(): Promise<void> {
  const settings = readSettings(process.env)
  const { host, port } = settings
  await tryPort(host, port)

  say(`Windfall, a wishlist shop with write pinning, on ${settings.framework} and ${settings.client}\n`)
  const servers = settings.servers ? showServers(settings.servers) : await startServers()
  const db = openDatabase(settings.client, servers)
  open.push(db)
  signal.throwIfAborted()

  await checkServers(db, servers)
  signal.throwIfAborted()

  const migrations = await migrate(db)
  say(`  migrations: ${migrations.length > 0 ? migrations.join(', ') : 'none were missing'}`)
  await waitForMigrations(db, servers, signal)
  say('  replicas have replayed them')

  const server = await (settings.framework === 'express' ? onExpress(db) : onFastify(db))
  open.push({ close: () => server.close() })
  const { port: bound } = await server.listen(host, port).catch((error) => {
    throw portError(host, port, error)
  })
  say(`\nReady: http://${host.includes(':') ? `[${host}]` : host}:${bound} (Ctrl-C stops it)`)
  say('Turn “Write pinning” off at the top of the page and add something, to see what it cures.')
}

async function onFastify(db: ShopDatabase) {
  const app = await buildApp({ db })
  return {
    async listen(host: string, port: number) {
      await app.listen({ host, port })
      return app.server.address() as AddressInfo
    },
    close: () => app.close(),
  }
}

async function onExpress(db: ShopDatabase) {
  const server = createServer(buildExpressApp({ db }))
  return {
    async listen(host: string, port: number) {
      await once(server.listen(port, host), 'listening')
      return server.address() as AddressInfo
    },
    async close() {
      if (!server.listening) return
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function showServers(servers: Servers): Servers {
  for (const { name, url } of nameServers(servers)) say(`  ${name} is at ${address(url)}`)
  return servers
}

/** Starts a primary, and replicas that are late on purpose: so late that people see what happens to programs. */
async function startServers(): Promise<Servers> {
  say(`No DATABASE_URL: starting a primary, and ${REPLICAS} replicas that replay ${LATE_MS / 1_000} s late.`)
  const onProgress = (message: string) => say(`  ${message}`)
  const cluster = await startPostgresCluster({ replicas: REPLICAS, applyDelayMs: LATE_MS, onProgress })
  open.push({ close: () => cluster.stop() })
  return {
    primary: cluster.primary.connectionString,
    replicas: cluster.replicas.map((replica) => replica.connectionString),
  }
}

function fail(error: unknown): void {
  const isExplained = error instanceof StartError || error instanceof WritePinningError
  console.error(isExplained ? error.message : error)
  process.exitCode = 1
}

function say(line: string): void {
  console.log(line)
}
