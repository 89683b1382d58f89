import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Binaries } from './binaries.ts'
import type { CheckedOptions } from './cluster-options.ts'
import { copyTemplate, type DataTemplate, TEMPLATE_DATABASE } from './data-directory.ts'
import { freePort } from './free-port.ts'
import { Server, type ServerSetup } from './server.ts'
import { defaultSettings, type Settings } from './server-settings.ts'
import type { Supervisor } from './supervisor.ts'
import type { ServerUser } from './unprivileged-user.ts'

const PORT_ATTEMPTS = 5

/** Everything that the servers of a cluster need to start. */
export interface ServersSetup {
  options: CheckedOptions
  supervisor: Supervisor
  binaries: Binaries
  template: DataTemplate
  user: ServerUser | undefined
}

/** Starts a primary with its database, and the replicas that follow it. They may still have to catch up. */
export async function startServers({
  options,
  supervisor,
  binaries,
  template,
  user,
}: ServersSetup): Promise<{ primary: Server; replicas: Server[] }> {
  const dataDirectoryOf = (name: string) => path.join(supervisor.directory, name)
  const copyTo = (name: string) => copyTemplate(supervisor, template, dataDirectoryOf(name), user)
  const startServer = async (name: string, settings: Settings) => {
    const dataDirectory = dataDirectoryOf(name)
    const server = await startOnFreePort({
      name,
      host: '127.0.0.1',
      database: options.database,
      majorVersion: template.majorVersion,
      postgres: binaries.postgres,
      dataDirectory,
      configFile: `${dataDirectory}.conf`,
      logFile: `${dataDirectory}.log`,
      settings: {
        ...defaultSettings(template.majorVersion),
        cluster_name: name,
        ...options.settings,
        ...settings,
      },
      supervisor,
    })
    options.onProgress(`${name} is up on port ${server.setup.port}`)
    return server
  }

  const replicaNames = Array.from({ length: options.replicas }, (_, index) => `replica-${index + 1}`)
  await copyTo('primary')
  const [primary] = await Promise.all([
    startServer('primary', options.synchronous ? synchronousWith(replicaNames) : {}),
    ...replicaNames.map(copyTo),
  ])
  await nameDatabase(primary, options.database)
  const replicas = await Promise.all(
    replicaNames.map(async (name) => {
      // Fails if the file exists, so that root never writes through a link.
      writeFileSync(path.join(dataDirectoryOf(name), 'standby.signal'), '', { flag: 'wx' })
      return startServer(name, following(primary, name, await createSlot(primary, name)))
    }),
  )
  return { primary, replicas }
}

async function nameDatabase(primary: Server, name: string): Promise<void> {
  if (name === TEMPLATE_DATABASE || name === 'postgres') return
  await primary.ask(`alter database ${TEMPLATE_DATABASE} rename to "${name}"`)
}

/** Makes a slot, which keeps the WAL that a replica misses while it is down. */
async function createSlot(primary: Server, replicaName: string): Promise<string> {
  // No other cluster has this name. A replica must never follow another cluster's primary that got the same port.
  const slot = `${replicaName.replace('-', '_')}_${randomBytes(4).toString('hex')}`
  await primary.ask('select pg_catalog.pg_create_physical_replication_slot($1, true)', [slot])
  return slot
}

function following({ setup }: Server, replicaName: string, slot: string): Settings {
  return {
    primary_conninfo: `host=${setup.host} port=${setup.port} user=postgres application_name=${replicaName}`,
    primary_slot_name: slot,
  }
}

function synchronousWith(replicaNames: readonly string[]): Settings {
  if (replicaNames.length === 0) return {}
  const names = replicaNames.map((name) => `"${name}"`).join(', ')
  return {
    synchronous_standby_names: `FIRST ${replicaNames.length} (${names})`,
    synchronous_commit: 'remote_apply',
  }
}

/**
 * Starts a server on a free port. It may take several tries: another process may take the port before the server
 * binds it.
 */
async function startOnFreePort(setup: Omit<ServerSetup, 'port'>): Promise<Server> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const settings = { ...setup.settings, port, listen_addresses: setup.host, unix_socket_directories: '' }
    const server = new Server({ ...setup, port, settings })
    try {
      await server.start()
      return server
    } catch (error) {
      if (attempt === PORT_ATTEMPTS || !/address already in use/i.test(String(error))) throw error
    }
  }
}
