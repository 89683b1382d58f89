import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type RdsIamPasswordOptions, rdsIamPassword } from 'write-pinning/aws'
import { startPostgresCluster } from 'write-pinning/testing'
import { askForPassword } from '../support/password.ts'

const server = { hostname: 'db.example.com', port: 5432, username: 'app', region: 'eu-west-1' }
const secretAccessKey = 'a-secret-that-nobody-may-see'

beforeEach(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretAccessKey)
  vi.stubEnv('AWS_SESSION_TOKEN', undefined)
  vi.stubEnv('AWS_PROFILE', undefined)
})

afterEach(() => {
  vi.unstubAllEnvs()
  vi.useRealTimers()
})

describe('a token', () => {
  test('is signed for the server and the role, with the credentials of the environment', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-11-25T12:00:00Z') })
    const token = new URL(`https://${await rdsIamPassword(server)()}`)
    // A URL leaves out what is the protocol's default, which 5432 is not.
    expect(token.host).toBe('db.example.com:5432')
    expect(Object.fromEntries(token.searchParams)).toMatchObject({
      Action: 'connect',
      DBUser: 'app',
      'X-Amz-Credential': 'AKIDEXAMPLE/20261125/eu-west-1/rds-db/aws4_request',
      'X-Amz-Date': '20261125T120000Z',
      'X-Amz-Expires': '900',
      'X-Amz-Signature': expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(token.href).not.toContain(secretAccessKey)
  })

  test('is another one before its time is over', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-11-25T12:00:00Z') })
    const password = rdsIamPassword(server)
    const first = await password()
    vi.setSystemTime(new Date('2026-11-25T12:03:00Z'))
    expect(await password()).toBe(first)
    vi.setSystemTime(new Date('2026-11-25T12:13:59Z'))
    expect(new URL(`https://${await password()}`).searchParams.get('X-Amz-Date')).toBe('20261125T121359Z')
  })

  test('is signed with credentials that are given, and serves many connections', async () => {
    let asked = 0
    const credentials = async () => {
      asked++
      return { accessKeyId: 'AKIDGIVEN', secretAccessKey }
    }
    const password = rdsIamPassword({ ...server, credentials })
    const tokens = new Set(await Promise.all(Array.from({ length: 20 }, password)))
    expect(tokens.size).toBe(1)
    expect([...tokens][0]).toContain('X-Amz-Credential=AKIDGIVEN%2F')
    expect(asked).toBe(1)
  })

  test('logs in a pool of pg on a server that asks for it', async () => {
    await using cluster = await startPostgresCluster({ replicas: 0 })
    const password = rdsIamPassword(server)
    await cluster.primary.query(`create role app login password '${await password()}'`)
    await askForPassword(cluster.primary, 'app')
    const { host, port } = cluster.primary
    const open = (given: pg.PoolConfig['password']) =>
      new pg.Pool({ host, port, database: 'test', user: 'app', password: given, max: 3 })
    const pool = open(password)
    const users = await Promise.all(
      [1, 2, 3].map(() => pool.query('select current_user as name, pg_sleep(0.1)')),
    )
    expect(users.map(({ rows }) => rows[0].name)).toEqual(['app', 'app', 'app'])
    await pool.end()
    const wrong = open(rdsIamPassword({ ...server, hostname: 'another.example.com' }))
    await expect(wrong.query('select 1')).rejects.toMatchObject({ code: '28P01' })
    await wrong.end()
  })
})

test('an error of signing names the server and shows no secret, and the next connection tries again', async () => {
  let areThere = false
  const credentials = async () => {
    if (!areThere) throw new Error('The instance has no role')
    return { accessKeyId: 'AKIDGIVEN', secretAccessKey }
  }
  const password = rdsIamPassword({ ...server, credentials })
  await expect(password()).rejects.toMatchObject({
    code: 'ERR_WRITE_PINNING_CREDENTIALS',
    message: expect.stringMatching(/'app' at db\.example\.com:5432/),
    cause: expect.objectContaining({ message: 'The instance has no role' }),
  })
  areThere = true
  expect(await password()).toContain('AKIDGIVEN')
})

describe('wrong options are refused when the function is made', () => {
  const refused: [string, unknown, string][] = [
    ['no options', undefined, 'ERR_WRITE_PINNING_OPTION'],
    ['an unknown option', { ...server, host: 'db' }, 'ERR_WRITE_PINNING_UNKNOWN_OPTION'],
    ['no hostname', { ...server, hostname: undefined }, 'ERR_WRITE_PINNING_OPTION'],
    ['a hostname with a port', { ...server, hostname: 'db:5432' }, 'ERR_WRITE_PINNING_OPTION'],
    ['a hostname that is a URL', { ...server, hostname: 'postgres://db' }, 'ERR_WRITE_PINNING_OPTION'],
    ['a port in words', { ...server, port: '5432' }, 'ERR_WRITE_PINNING_OPTION'],
    ['a port that there is not', { ...server, port: 65_536 }, 'ERR_WRITE_PINNING_OPTION'],
    ['an empty username', { ...server, username: '' }, 'ERR_WRITE_PINNING_OPTION'],
    ['no region', { ...server, region: undefined }, 'ERR_WRITE_PINNING_OPTION'],
    ['half of the credentials', { ...server, credentials: { accessKeyId: 'A' } }, 'ERR_WRITE_PINNING_OPTION'],
    ['an empty profile', { ...server, profile: '' }, 'ERR_WRITE_PINNING_OPTION'],
  ]
  test.each(refused)('%s', (_what, options, code) => {
    expect(() => rdsIamPassword(options as RdsIamPasswordOptions)).toThrow(expect.objectContaining({ code }))
  })

  test.each<[keyof RdsIamPasswordOptions, unknown, string]>([
    ['hostname', undefined, 'undefined'],
    ['username', undefined, 'undefined'],
    ['region', undefined, 'undefined'],
    ['region', '', 'an empty string'],
  ])('%s that is %s asks for the environment variable', (name, value, kind) => {
    expect(() => rdsIamPassword({ ...server, [name]: value })).toThrow(
      expect.objectContaining({
        message: `rdsIamPassword: \`${name}\` is ${kind}. Is the environment variable set?`,
      }),
    )
  })

  test('and no error shows a secret', () => {
    const credentials = { accessKeyId: '', secretAccessKey }
    expect(() => rdsIamPassword({ ...server, credentials })).toThrow(/^(?!.*a-secret)/s)
  })
})
