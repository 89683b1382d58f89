/** The servers, each as a connection string. */
export interface Servers {
  primary: string
  replicas: readonly string[]
}

/** A server, and its name on pages and in messages. */
export interface NamedServer {
  name: string
  url: string
}

/** Names the servers. The primary comes first. */
export function nameServers({ primary, replicas }: Servers): [NamedServer, ...NamedServer[]] {
  return [
    { name: 'primary', url: primary },
    ...replicas.map((url, index) => ({ name: `replica-${index + 1}`, url })),
  ]
}

/** Connections of each node's pool. */
const CONNECTIONS = 10

/** The servers as `write-pinning` takes them. */
export function nodesOf(servers: Servers) {
  const [primary, ...replicas] = nameServers(servers)
  return { primary: node(primary), replicas: replicas.map(node) }
}

/**
 * How many connections all nodes have together. A client with a pool of its own needs as many, or its pool is the
 * bottleneck.
 */
export function connectionsOf(servers: Servers): number {
  return nameServers(servers).length * CONNECTIONS
}

function node({ name, url }: NamedServer) {
  return { name, pool: { connectionString: url, connectionTimeoutMillis: 5_000, max: CONNECTIONS } }
}
