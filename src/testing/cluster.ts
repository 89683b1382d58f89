import { tmpdir } from 'node:os'
import { findBinaries } from './binaries.ts'
import { clusterError } from './cluster-error.ts'
import { checkOptions, type PostgresClusterOptions } from './cluster-options.ts'
import { dataTemplate } from './data-directory.ts'
import { PostgresNode } from './node.ts'
import { waitForCatchup } from './replay.ts'
import type { Server } from './server.ts'
import { startServers } from './start-servers.ts'
import { Supervisor } from './supervisor.ts'
import { temporaryRoot } from './temporary-root.ts'
import { unprivilegedUser } from './unprivileged-user.ts'

/**
 * A running primary and its replicas. They share a system identifier that no other cluster has. `await using` stops
 * the cluster at the end of the block.
 */
export interface PostgresCluster extends AsyncDisposable {
  readonly primary: PostgresNode
  readonly replicas: readonly PostgresNode[]
  /** The primary, then the replicas. */
  readonly nodes: readonly PostgresNode[]
  /**
   * Resolves when every replica that runs and is not paused has replayed what the primary had written at the call.
   *
   * @throws `ERR_WRITE_PINNING_TEST_CLUSTER` if that takes 30 seconds more than the replica's apply delay
   */
  waitForCatchup(): Promise<void>
  /** Ends every server and removes everything that the cluster has made. It may be called again. */
  stop(): Promise<void>
}

/**
 * Starts a real PostgreSQL primary with streaming replicas on 127.0.0.1, in about a second. Nothing is left of it
 * when the process ends, even by a crash.
 *
 * @throws `ERR_WRITE_PINNING_OPTION` or `ERR_WRITE_PINNING_UNKNOWN_OPTION` for a wrong option, and
 * `ERR_WRITE_PINNING_TEST_CLUSTER` if no programs are found or a server does not start
 * @example
 * import { Pool } from 'pg'
 * import { startPostgresCluster } from 'write-pinning/testing'
 *
 * const cluster = await startPostgresCluster({ replicas: 2 })
 * const pool = new Pool({ connectionString: cluster.primary.connectionString })
 * // …
 * await pool.end()
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
    const { primary, replicas } = await startServers({
      options: checked,
      supervisor,
      binaries,
      template,
      user,
    })
    await waitForCatchup(primary, replicas)
    const cluster = clusterOf(primary, replicas, supervisor)
    // Only now: before, it would delay the start itself.
    if (checked.applyDelayMs > 0) {
      await Promise.all(cluster.replicas.map((replica) => replica.setApplyDelay(checked.applyDelayMs)))
    }
    return cluster
  } catch (error) {
    await supervisor.close()
    throw error
  }
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
