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

/** The servers as `write-pinning` takes them. */
export function nodesOf(servers: Servers) {
  const [primary, ...replicas] = nameServers(servers)
  return { primary: node(primary), replicas: replicas.map(node) }
}

function node({ name, url }: NamedServer) {
  return { name, pool: { connectionString: url, connectionTimeoutMillis: 5_000 } }
}
