import { lookup as dnsLookup, type LookupAddress } from 'node:dns'
import { isIP, type LookupFunction, Socket } from 'node:net'
import type { PoolLike } from './pool.ts'

/**
 * Finds the addresses of a host name. It has the signature of `dns.lookup()`, and is called with or without `{ all:
 * true }`.
 */
export type Lookup = LookupFunction

/** All addresses that a host name has now, sorted. */
export function addressesOf(host: string, lookup: Lookup | undefined): Promise<string[]> {
  const find = lookup ?? (dnsLookup as Lookup)
  return new Promise((resolve, reject) => {
    find(host, { all: true }, (error, answer: unknown) => {
      const addresses = asList(answer)
      if (error) reject(error)
      else if (addresses.some((address) => isIP(address) === 0)) reject(new Error('`lookup` gave no address'))
      else resolve(addresses.sort())
    })
  })
}

/** The addresses in an answer: one or several, in whatever form the application's function gives them. */
function asList(answer: unknown): string[] {
  const list: unknown[] = Array.isArray(answer) ? answer : [answer]
  return list.map((each) => String((each as Partial<LookupAddress> | undefined | null)?.address ?? each))
}

/** A value for `pg`'s option `stream`: sockets that find their server's address by this function. */
export function socketsThatLookUp(lookup: Lookup): () => Socket {
  return () => new LookingUp(lookup)
}

// `pg` calls `connect(port, host)`, which takes no `lookup`.
class LookingUp extends Socket {
  readonly #lookup: Lookup

  constructor(lookup: Lookup) {
    super()
    this.#lookup = lookup
  }

  override connect(...args: unknown[]): this {
    const [port, host] = args
    if (typeof port !== 'number' && typeof port !== 'string') return super.connect(...(args as [never]))
    // A path means a socket of this machine.
    if (typeof port === 'string' && port.startsWith('/')) return super.connect(port)
    return super.connect({ port: Number(port), host: String(host), lookup: checked(this.#lookup) })
  }
}

/**
 * Wraps an application's function. If it gives something that is no address, only that connection fails. Without
 * this, Node.js would throw an error that ends the process.
 */
function checked(lookup: Lookup): Lookup {
  return (host, options, callback) => {
    const fail = (cause?: unknown) => {
      const error = new Error(`\`lookup\` gave no address of '${host}'.`, { cause })
      callback(Object.assign(error, { code: 'ENOTFOUND' }), [])
    }
    try {
      lookup(host, options, (error, given, family) => {
        const list: unknown[] = Array.isArray(given) ? given : [{ address: given }]
        const areAddresses = list.every((each) => isIP(String((each as LookupAddress | null)?.address)) !== 0)
        if (error) callback(error, [])
        else if (list.length === 0 || !areAddresses) fail()
        else callback(null, given, family)
      })
    } catch (error) {
      process.nextTick(fail, error)
    }
  }
}

/** Gives this one address, whatever name is asked for. */
export function alwaysAt(address: string): Lookup {
  const family = address.includes(':') ? 6 : 4
  return (_host, { all }, callback) => {
    if (all) callback(null, [{ address, family }])
    else callback(null, address, family)
  }
}

/** What `pg` reads of a configuration to find the server. */
interface HostConfig {
  readonly host?: string
  readonly connectionString?: string
}

/** The host name or address that a pool connects to; undefined if it is a socket of this machine, or unknown. */
export function hostOf(pool: PoolLike): string | undefined {
  const { host, connectionString } = (pool.options ?? {}) as HostConfig
  const found = hostOfString(connectionString) ?? host ?? process.env.PGHOST
  return found === undefined || found === '' || found.startsWith('/') ? undefined : found
}

/** The host of a connection string; undefined if it has none. */
export function hostOfString(connectionString: string | undefined): string | undefined {
  if (connectionString === undefined || !URL.canParse(connectionString)) return undefined
  const { searchParams, hostname } = new URL(connectionString)
  const host = searchParams.get('host') ?? decodeURIComponent(hostname)
  return host === '' ? undefined : host.replace(/^\[|\]$/g, '')
}
