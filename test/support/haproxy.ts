import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { freePort } from '../../src/testing/free-port.ts'
import { acceptsLogins } from './accepts-logins.ts'
import { Daemon } from './daemon.ts'
import type { Target } from './proxy-link.ts'

/** An HAProxy in front of several nodes. It is one name for all of them, as Aurora's reader endpoint is. */
export interface ReaderEndpoint extends AsyncDisposable {
  readonly host: string
  readonly port: number
  readonly connectionString: string
  /** Sends new connections to this server, too, in turn with the others. */
  addServer(node: Target): Promise<void>
  /** Sends no more new connections to this server. Open ones stay. */
  removeServer(node: Target): Promise<void>
  stop(): Promise<void>
}

/**
 * Starts Debian's HAProxy in front of these nodes.
 * @example
 * await using endpoint = await startReaderEndpoint([replica])
 * await endpoint.addServer(another)
 */
export async function startReaderEndpoint(nodes: readonly Target[]): Promise<ReaderEndpoint> {
  const daemon = new Daemon('haproxy')
  const port = await freePort()
  const socket = path.join(daemon.directory, 'control')
  const file = path.join(daemon.directory, 'haproxy.cfg')
  const servers = nodes.map((node) => `  server ${nameOf(node)} ${node.host}:${node.port}`)
  writeFileSync(
    file,
    `global
  stats socket ${socket} level admin
defaults
  mode tcp
  timeout connect 2s
  timeout client 1h
  timeout server 1h
listen reader
  bind 127.0.0.1:${port}
  balance roundrobin
${servers.join('\n')}\n`,
  )
  const connectionString = `postgres://postgres@127.0.0.1:${port}/test`
  await daemon.start(['-db', '-f', file], () => acceptsLogins(connectionString))
  const stop = () => daemon.stop()
  return {
    host: '127.0.0.1',
    port,
    connectionString,
    async addServer(node) {
      await command(socket, `add server reader/${nameOf(node)} ${node.host}:${node.port}`)
      await command(socket, `enable server reader/${nameOf(node)}`)
    },
    async removeServer(node) {
      await command(socket, `disable server reader/${nameOf(node)}`)
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

function nameOf({ port }: Target): string {
  return `server-${port}`
}

/** Sends a command to a running HAProxy. It answers with a complaint, with a word of success, or with nothing. */
async function command(socket: string, line: string): Promise<void> {
  const control = connect(socket)
  await once(control, 'connect')
  control.end(`${line}\n`)
  const answer = (await text(control)).trim()
  if (answer !== '' && !/^New server registered/.test(answer))
    throw new Error(`HAProxy, to "${line}": ${answer}`)
}
