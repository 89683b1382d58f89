/** Where the servers are: one connection string each. */
export interface Servers {
  primary: string
  replicas: readonly string[]
}

/** A server, and the name under which pages and messages speak of it. */
export interface NamedServer {
  name: string
  url: string
}

/** The primary first. */
export function nameServers({ primary, replicas }: Servers): [NamedServer, ...NamedServer[]] {
  return [
    { name: 'primary', url: primary },
    ...replicas.map((url, index) => ({ name: `replica-${index + 1}`, url })),
  ]
}

/** Of each node. */
const CONNECTIONS = 10

/** The servers as `write-pinning` takes them. */
export function nodesOf(servers: Servers) {
  const [primary, ...replicas] = nameServers(servers)
  return { primary: node(primary), replicas: replicas.map(node) }
}

/** How many connections all nodes may have, for clients with a pool of their own: theirs should not be the narrower one. */
export function connectionsOf(servers: Servers): number {
  return nameServers(servers).length * CONNECTIONS
}

function node({ name, url }: NamedServer) {
  return { name, pool: { connectionString: url, connectionTimeoutMillis: 5_000, max: CONNECTIONS } }
}
