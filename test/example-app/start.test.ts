import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useCluster } from '../support/shop.ts'
import { BuiltShop, type ShopProcess } from './shop-process.ts'

const SLOW = 120_000

let shop: BuiltShop

beforeAll(async () => {
  shop = await BuiltShop.build()
}, SLOW)

afterAll(() => shop?.remove(), SLOW)

describe('with servers of its own', () => {
  test(
    'it says what it does while it starts, serves, and leaves nothing behind when it is interrupted',
    async () => {
      const running = shop.start({})
      const [, address = ''] = await running.says(/Ready: (http:\S+)/)
      expect(running.output).toMatch(/primary is up/)
      expect(running.output).toMatch(/replica-1 is up/)
      expect(running.output).toMatch(/replica-2 is up/)
      expect(running.output).toMatch(/migrations: 001-\S+, 002-\S+/)

      const page = await (await fetch(address)).text()
      expect(page).toContain('Kitchen radio')
      expect(page).toMatch(/class="node replica">replica-[12]</)

      const spare = connect(Number(new URL(address).port), '127.0.0.1') // browsers keep one in reserve
      await once(spare, 'connect')
      spare.on('error', () => {})

      running.signal('SIGINT')
      running.signal('SIGINT') // a second Ctrl-C does not cut the clean-up short
      expect(await running.exitCode).toBe(0)
      expect(running.output).toMatch(/Stopped\.\s*$/)
      expect(running.errors).toBe('')
      await expect(fetch(address)).rejects.toThrow()
      expect(portsOf(running)).toHaveLength(3)
      for (const port of portsOf(running)) expect(await answers(port)).toBe(false)
    },
    SLOW,
  )

  test(
    'it can be interrupted while it starts',
    async () => {
      const starting = shop.start({})
      await starting.says(/primary is up/)
      starting.signal('SIGTERM')
      expect(await starting.exitCode).toBe(0)
      expect(starting.output).not.toMatch(/Ready/)
      expect(starting.errors).toBe('')
      for (const port of portsOf(starting)) expect(await answers(port)).toBe(false)
    },
    SLOW,
  )

  test(
    'with npm start, nothing is left behind when npm alone is told to end, as a container does it',
    async () => {
      const npm = shop.startWithNpm()
      const [, address = ''] = await npm.says(/Ready: (http:\S+)/)
      const ports = [Number(new URL(address).port), ...portsOf(npm)]
      expect(ports).toHaveLength(4)
      for (const port of ports) expect(await answers(port)).toBe(true)

      npm.signal('SIGTERM')
      await npm.ended
      for (const port of ports) expect(await answers(port)).toBe(false)
      expect(await npm.exitCode).toBe(0)
      expect(npm.output).toMatch(/Stopped\.\s*$/)
    },
    SLOW,
  )

  function portsOf(process: ShopProcess): number[] {
    return Array.from(process.output.matchAll(/is up on port (\d+)/g), ([, port]) => Number(port))
  }
})

describe('with the servers that it is given', () => {
  const { cluster } = useCluster()

  test(
    'it starts none, reads from the replica, and starts again where nothing is left to migrate',
    async () => {
      const DATABASE_URL = cluster.primary.connectionString
      const DATABASE_REPLICA_URLS = cluster.replicas.map((replica) => replica.connectionString).join(', ')

      for (const migrations of [/migrations: 001-/, /migrations: none were missing/]) {
        const running = shop.start({ DATABASE_URL, DATABASE_REPLICA_URLS })
        const [, address = ''] = await running.says(/Ready: (http:\S+)/)
        expect(running.output).not.toMatch(/is up on port/)
        expect(running.output).toMatch(migrations)
        expect(await (await fetch(address)).text()).toContain('class="node replica">replica-1<')
        running.signal('SIGTERM')
        expect(await running.exitCode).toBe(0)
      }
    },
    SLOW,
  )

  test(
    'it serves the same on Express, and ends when it is interrupted',
    async () => {
      const running = shop.start({
        FRAMEWORK: 'express',
        DATABASE_URL: cluster.primary.connectionString,
        DATABASE_REPLICA_URLS: cluster.replicas.map((replica) => replica.connectionString).join(', '),
      })
      const [, address = ''] = await running.says(/Ready: (http:\S+)/)
      expect(await (await fetch(address)).text()).toContain('"name":"Kitchen radio"')
      running.signal('SIGTERM')
      expect(await running.exitCode).toBe(0)
      expect(running.errors).toBe('')
    },
    SLOW,
  )

  test.each(['kysely', 'pg', 'drizzle', 'knex', 'sequelize'])(
    'with CLIENT=%s, a form is answered with a redirect, and the page behind it has what was added, while replay is paused',
    async (CLIENT) => {
      const running = shop.start({
        CLIENT,
        DATABASE_URL: cluster.primary.connectionString,
        DATABASE_REPLICA_URLS: cluster.replicas.map((replica) => replica.connectionString).join(', '),
      })
      const [, address = ''] = await running.says(/Ready: (http:\S+)/)
      expect(running.output).toContain(`on fastify and ${CLIENT}\n`)
      await cluster.replicas[0]?.pauseReplay()
      try {
        const added = await fetch(new URL('/wishlist/add', address), {
          method: 'POST',
          body: new URLSearchParams({ product: '5' }),
          redirect: 'manual',
        })
        expect(added.status).toBe(303)
        const cookie = added.headers.getSetCookie().map((each) => each.split(';')[0])
        const page = new URL(added.headers.get('location') ?? '', address)
        expect(await wishesOf(page, cookie.join('; '))).toEqual(['Kitchen radio'])
        const unpinned = cookie.filter((each) => !each?.startsWith('write_pin='))
        expect(await wishesOf(page, unpinned.join('; '))).toEqual([])
      } finally {
        await cluster.replicas[0]?.resumeReplay()
      }
      running.signal('SIGTERM')
      expect(await running.exitCode).toBe(0)
      expect(running.errors).toBe('')
    },
    SLOW,
  )

  async function wishesOf(page: URL, cookie: string): Promise<(string | undefined)[]> {
    const text = await (await fetch(page, { headers: { cookie } })).text()
    return [...text.matchAll(/action="\/wishlist\/\d+" aria-label="([^"]+)"/g)].map(([, name]) => name)
  }

  test('it names a replica that cannot be reached', async () => {
    const failed = shop.start({
      DATABASE_URL: cluster.primary.connectionString,
      DATABASE_REPLICA_URLS: `postgres://shop:hunter2@127.0.0.1:${await closedPort()}/shop`,
    })
    await expectRefusal(failed, /^The database replica-1 \(127\.0\.0\.1:\d+\/shop\) cannot be reached: .*$/)
  })
})

describe('it refuses to start, in one line,', () => {
  test('where the port is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await expectRefusal(shop.start({ PORT: `${port}` }), new RegExp(`^Port ${port} on 127.0.0.1 is taken.*$`))
    server.close()
  })

  test.each(['http', '-1', '65536', '80.5'])('where PORT is %s', async (PORT) => {
    await expectRefusal(shop.start({ PORT }), /^PORT is “.*”, which is not a port.*$/)
  })

  test('where the primary cannot be reached', async () => {
    const url = `postgres://shop:hunter2@127.0.0.1:${await closedPort()}/shop`
    const failed = shop.start({ DATABASE_URL: url, DATABASE_REPLICA_URLS: url })
    await expectRefusal(failed, /^The database primary \(127\.0\.0\.1:\d+\/shop\) cannot be reached: .*$/)
  })

  test('where FRAMEWORK is one that it does not know', async () => {
    await expectRefusal(shop.start({ FRAMEWORK: 'koa' }), /^FRAMEWORK is “koa”.*$/)
  })

  test('where CLIENT is one that it does not know', async () => {
    await expectRefusal(shop.start({ CLIENT: 'mysql' }), /^CLIENT is “mysql”.*$/)
  })

  test('where a connection string is none', async () => {
    const failed = shop.start({ DATABASE_URL: 'shop:hunter2@localhost' })
    await expectRefusal(failed, /^DATABASE_URL is not a PostgreSQL address.*$/)
  })
})

async function expectRefusal(failed: ShopProcess, message: RegExp): Promise<void> {
  expect(await failed.exitCode).toBe(1)
  // What the dialect warned of stands before.
  expect(failed.errors.trimEnd().split('\n').at(-1)).toMatch(message)
  expect(failed.output + failed.errors).not.toContain('hunter2')
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}

// The last one: it leaves half a build, which none of the others could start.
test(
  'with npm start, nothing is left behind either when npm alone is told to end while it builds',
  async () => {
    const npm = shop.startWithNpm()
    await expect.poll(() => shop.processes(), { timeout: SLOW }).not.toEqual([])
    npm.signal('SIGTERM')
    await npm.ended
    await expect.poll(() => shop.processes()).toEqual([])
    expect(await npm.exitCode).toBe(0)
    expect(npm.output).toMatch(/Stopped\.\s*$/)
  },
  SLOW,
)
