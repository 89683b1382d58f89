import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Binaries, findBinaries } from './binaries.ts'
import { waitForCatchup } from './catchup.ts'
import { clusterError } from './cluster-error.ts'
import { type CheckedOptions, checkOptions, type PostgresClusterOptions } from './cluster-options.ts'
import { copyDataDirectory, initializeDataDirectory } from './data-directory.ts'
import { freePort } from './free-port.ts'
import { type NodeSetup, PostgresNode } from './node.ts'
import { defaultSettings, type Settings } from './server-settings.ts'
import { Supervisor } from './supervisor.ts'
import { temporaryRoot } from './temporary-root.ts'
import { unprivilegedUser } from './unprivileged-user.ts'

/** A running primary and its replicas; `await using` stops it at the end of the block. */
export interface PostgresCluster extends AsyncDisposable {
  readonly primary: PostgresNode
  readonly replicas: readonly PostgresNode[]
  /** The primary, then the replicas. */
  readonly nodes: readonly PostgresNode[]
  /**
   * Resolves when every replica that runs and is not paused has replayed what the primary had written at the call.
   *
   * @throws `ERR_WRITE_PINNING_TEST_CLUSTER` after 30 seconds beyond the replicas' apply delay
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
  const root = temporaryRoot(tmpdir(), user)
  const supervisor = await Supervisor.start({ temporaryRoot: root, user })
  try {
    const { directory: clusterDirectory } = supervisor
    const { binDirectory } = checked
    const binaries = await findBinaries({ binDirectory, user, temporaryRoot: root, clusterDirectory })
    return await startNodes(checked, supervisor, binaries)
  } catch (error) {
    await supervisor.close()
    throw error
  }
}

async function startNodes(
  options: CheckedOptions,
  supervisor: Supervisor,
  binaries: Binaries,
): Promise<PostgresCluster> {
  const say = options.onProgress ?? (() => {})
  const replicaNames = Array.from({ length: options.replicas }, (_, index) => `replica-${index + 1}`)
  const dataDirectoryOf = (name: string) => path.join(supervisor.directory, name)

  const majorVersion = await initializeDataDirectory(supervisor, binaries, dataDirectoryOf('primary'))
  for (const name of replicaNames) {
    await copyDataDirectory(supervisor, dataDirectoryOf('primary'), dataDirectoryOf(name))
  }
  say(`data directories of PostgreSQL ${majorVersion} are made`)

  const startNode = (name: string, settings: Settings) =>
    startOnFreePort({
      name,
      database: options.database,
      dataDirectory: dataDirectoryOf(name),
      logFile: path.join(supervisor.directory, `${name}.log`),
      settings: { ...defaultSettings(majorVersion), ...options.settings, ...settings, cluster_name: name },
      supervisor,
      binaries,
    })

  const primary = await startNode('primary', options.synchronous ? synchronousWith(replicaNames) : {})
  say(`primary is up on port ${primary.port}`)
  await primary.control(`create database "${options.database}"`)

  const replicas = await Promise.all(
    replicaNames.map(async (name) => {
      const slot = await createSlot(primary, name)
      writeFileSync(path.join(dataDirectoryOf(name), 'standby.signal'), '')
      const replica = await startNode(name, {
        primary_conninfo: `host=${primary.host} port=${primary.port} user=postgres application_name=${name}`,
        primary_slot_name: slot,
      })
      say(`${name} is up on port ${replica.port}`)
      return replica
    }),
  )

  const cluster: PostgresCluster = {
    primary,
    replicas,
    nodes: [primary, ...replicas],
    waitForCatchup: () => waitForCatchup(primary, replicas),
    stop: () => supervisor.close(),
    [Symbol.asyncDispose]: () => supervisor.close(),
  }
  await cluster.waitForCatchup()
  // Only now, or the start would wait for the delay.
  if (options.applyDelayMs > 0) {
    await Promise.all(replicas.map((replica) => replica.setApplyDelay(options.applyDelayMs)))
  }
  return cluster
}

function synchronousWith(replicaNames: readonly string[]): Settings {
  if (replicaNames.length === 0) return {}
  const names = replicaNames.map((name) => `"${name}"`).join(', ')
  return {
    synchronous_standby_names: `FIRST ${replicaNames.length} (${names})`,
    synchronous_commit: 'remote_apply',
  }
}

/** A slot keeps the WAL that a replica has missed while it was down. */
async function createSlot(primary: PostgresNode, replicaName: string): Promise<string> {
  // A name that no other cluster has: a replica must never follow another cluster's primary that got this one's port.
  const slot = `${replicaName.replace('-', '_')}_${randomBytes(4).toString('hex')}`
  await primary.control('select pg_create_physical_replication_slot($1, true)', [slot])
  return slot
}

const PORT_ATTEMPTS = 5

/** Another process may take a port between the moment it was found free and the moment the server binds it. */
async function startOnFreePort(setup: Omit<NodeSetup, 'port'>): Promise<PostgresNode> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    const node = new PostgresNode({
      ...setup,
      port,
      settings: { ...setup.settings, port, listen_addresses: '127.0.0.1', unix_socket_directories: '' },
    })
    try {
      await node.start()
      return node
    } catch (error) {
      if (attempt === PORT_ATTEMPTS || !/address already in use/i.test(String(error))) throw error
    }
  }
}
