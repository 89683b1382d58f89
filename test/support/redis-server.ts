import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { freePort } from '../../src/testing/free-port.ts'

/** A Redis server for a test. */
export interface RedisServer {
  readonly url: string
  stop(): Promise<void>
}

/**
 * Whether a `redis-server` is installed. If not, this says so. In CI it throws, because a test that is silently
 * skipped there is no test.
 */
export function hasRedisServer(): boolean {
  const { PATH = '', CI } = process.env
  if (PATH.split(delimiter).some((directory) => existsSync(join(directory, 'redis-server')))) return true
  const message = 'No `redis-server` was found in PATH: install one.'
  if (CI) throw new Error(message)
  console.warn(`${message} The tests of pins that are kept on Redis are skipped.`)
  return false
}

// When this process ends, in any way, its end of the pipe closes, and the shell ends the server.
const UNTIL_STDIN_ENDS = 'redis-server "$@" & cat > /dev/null; kill $!; wait'

/** Starts a server on a free port of 127.0.0.1. It keeps nothing on disk. */
export async function startRedisServer(): Promise<RedisServer> {
  const port = await freePort()
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const shell = spawn('sh', ['-c', UNTIL_STDIN_ENDS, 'sh', ...settings], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let said = ''
  for await (const chunk of shell.stdout) {
    said += chunk
    if (said.includes('Ready to accept connections')) break
  }
  if (shell.exitCode !== null) throw new Error(`redis-server did not start: ${said}`)
  const stop = async () => {
    const exited = once(shell, 'exit')
    shell.stdin.end()
    await exited
  }
  return { url: `redis://127.0.0.1:${port}`, stop }
}
