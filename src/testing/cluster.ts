import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Binaries, findBinaries } from './binaries.ts'
import { clusterError } from './cluster-error.ts'
import { type CheckedOptions, checkOptions, type PostgresClusterOptions } from './cluster-options.ts'
import { copyTemplate, type DataTemplate, dataTemplate, TEMPLATE_DATABASE } from './data-directory.ts'
import { freePort } from './free-port.ts'
import { PostgresNode } from './node.ts'
import { waitForCatchup } from './replay.ts'
import { Server, type ServerSetup } from './server.ts'
import { defaultSettings, type Settings } from './server-settings.ts'
import { Supervisor } from './supervisor.ts'
import { temporaryRoot } from './temporary-root.ts'
import { type ServerUser, unprivilegedUser } from './unprivileged-user.ts'

const PORT_ATTEMPTS = 5

/** A running primary and its replicas; `await using` stops it at the end of the block. */
export interface PostgresCluster extends AsyncDisposable {
  readonly primary: PostgresNode
  readonly replicas: readonly PostgresNode[]
  /** The primary, then the replicas. */
  readonly nodes: readonly PostgresNode[]
  /**
   * Resolves when every replica that runs and is not paused has replayed what the primary had written at the call.
   *
   * @throws `ERR_WRITE_PINNING_TEST_CLUSTER` where that takes 30 seconds more than the replica's apply delay
   */
  waitForCatchup(): Promise<void>
  /** Ends every server and removes all that the cluster has made; may be called again. */
  stop(): Promise<void>
}

/**
 * Starts a real PostgreSQL primary with streaming replicas on 127.0.0.1, in about a second; nothing of it is left
 * when the process ends, however it ends.
 *
 * @throws `ERR_WRITE_PINNING_OPTION` or `ERR_WRITE_PINNING_UNKNOWN_OPTION` for a wrong option, and
 * `ERR_WRITE_PINNING_TEST_CLUSTER` where no programs are found or a server does not start
 * @example
 * const cluster = await startPostgresCluster({ replicas: 2 })
 * const pool = new Pool({ connectionString: cluster.primary.connectionString })
 * // …
 * await cluster.stop()
 */
export async function startPostgresCluster(options: PostgresClusterOptions = {}): Promise<PostgresCluster> {
  const checked = checkOptions(options)
  if (process.platform === 'win32') {
    throw clusterError(
      'test clusters need signals, which Windows lacks: run the tests under WSL or in a container',
    )
  }
  const user = unprivilegedUser()
  const place = { user, temporaryRoot: temporaryRoot(tmpdir(), user) }
  const supervisor = await Supervisor.start(place)
  try {
    const ownPlace = { ...place, clusterDirectory: supervisor.directory }
    const binaries = await findBinaries(checked.binDirectory, ownPlace)
    const template = await dataTemplate(supervisor, binaries, ownPlace)
    return await startNodes(checked, supervisor, binaries, template, user)
  } catch (error) {
    await supervisor.close()
    throw error
  }
}

async function startNodes(
  options: CheckedOptions,
  supervisor: Supervisor,
  binaries: Binaries,
  template: DataTemplate,
  user: ServerUser | undefined,
): Promise<PostgresCluster> {
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
      settings: { ...defaultSettings(template.majorVersion), ...options.settings, ...settings },
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
      // Never through a link that is there already.
      writeFileSync(path.join(dataDirectoryOf(name), 'standby.signal'), '', { flag: 'wx' })
      return startServer(name, following(primary, name, await createSlot(primary, name)))
    }),
  )
  await waitForCatchup(primary, replicas)
  const cluster = clusterOf(primary, replicas, supervisor)
  // Only now, or the start itself would be delayed.
  if (options.applyDelayMs > 0) {
    await Promise.all(cluster.replicas.map((replica) => replica.setApplyDelay(options.applyDelayMs)))
  }
  return cluster
}

function clusterOf(primary: Server, replicas: readonly Server[], supervisor: Supervisor): PostgresCluster {
  const nodes = [primary, ...replicas].map((server) => new PostgresNode(server))
  const [primaryNode, ...replicaNodes] = nodes as [PostgresNode, ...PostgresNode[]]
  const stop = async () => {
    await supervisor.close()
    for (const server of [primary, ...replicas]) server.hasEnded()
  }
  return {
    primary: primaryNode,
    replicas: replicaNodes,
    nodes,
    waitForCatchup: () => waitForCatchup(primary, replicas),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

async function nameDatabase(primary: Server, name: string): Promise<void> {
  if (name === TEMPLATE_DATABASE || name === 'postgres') return
  await primary.ask(`alter database ${TEMPLATE_DATABASE} rename to "${name}"`)
}

/** A slot keeps the WAL that a replica has missed while it was down. */
async function createSlot(primary: Server, replicaName: string): Promise<string> {
  // A name that no other cluster has: a replica must never follow another cluster's primary that got the same port.
  const slot = `${replicaName.replace('-', '_')}_${randomBytes(4).toString('hex')}`
  await primary.ask('select pg_create_physical_replication_slot($1, true)', [slot])
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

/** Another process may take a port between the moment it was found free and the moment the server binds it. */
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
