import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type PostgresClusterOptions, startPostgresCluster } from 'write-pinning/testing'

describe('wrong options are refused before anything is started', () => {
  const refused: [string, object, string][] = [
    ['an unknown option', { replica: 2 }, 'ERR_WRITE_PINNING_UNKNOWN_OPTION'],
    ['a negative number of replicas', { replicas: -1 }, 'ERR_WRITE_PINNING_OPTION'],
    ['half a replica', { replicas: 0.5 }, 'ERR_WRITE_PINNING_OPTION'],
    ['a delay in words', { applyDelayMs: '5s' }, 'ERR_WRITE_PINNING_OPTION'],
    ['a synchronous that is no boolean', { synchronous: 'on' }, 'ERR_WRITE_PINNING_OPTION'],
    ['an empty binDirectory', { binDirectory: '' }, 'ERR_WRITE_PINNING_OPTION'],
    ['a database name with a quote', { database: 'a"b' }, 'ERR_WRITE_PINNING_OPTION'],
    ['an onProgress that is no function', { onProgress: true }, 'ERR_WRITE_PINNING_OPTION'],
    ['settings that are no object', { settings: 'port=1' }, 'ERR_WRITE_PINNING_OPTION'],
    ['a setting that the cluster makes itself', { settings: { port: 5432 } }, 'ERR_WRITE_PINNING_OPTION'],
    ['a setting of two lines', { settings: { work_mem: '4MB\nfsync=on' } }, 'ERR_WRITE_PINNING_OPTION'],
    ['a setting with no name', { settings: { 'a b': 1 } }, 'ERR_WRITE_PINNING_OPTION'],
  ]
  test.each(refused)('%s', async (_what, options, code) => {
    await expect(startPostgresCluster(options as PostgresClusterOptions)).rejects.toMatchObject({ code })
  })
})

test('a binDirectory without the programs is a clear error', async () => {
  await expect(startPostgresCluster({ binDirectory: '/nowhere' })).rejects.toMatchObject({
    code: 'ERR_WRITE_PINNING_TEST_CLUSTER',
    message: expect.stringContaining('binDirectory must hold initdb and postgres'),
  })
})

test('a setting that PostgreSQL refuses is an error with the end of its log', async () => {
  await expect(startPostgresCluster({ settings: { no_such_setting: 1 } })).rejects.toMatchObject({
    code: 'ERR_WRITE_PINNING_TEST_CLUSTER',
    message: expect.stringContaining('unrecognized configuration parameter "no_such_setting"'),
  })
})

test('settings hold on every node, and onProgress hears of every step', async () => {
  const heard: string[] = []
  await using cluster = await startPostgresCluster({
    settings: { work_mem: '5MB', log_line_prefix: "it's %p ", autovacuum: false, max_connections: 50 },
    onProgress: (message) => heard.push(message),
  })
  for (const node of cluster.nodes) {
    const settings = "select current_setting('work_mem') as mem, current_setting('autovacuum') as vacuum"
    expect(await node.query(settings)).toEqual([{ mem: '5MB', vacuum: 'off' }])
    expect(await node.query('show log_line_prefix')).toEqual([{ log_line_prefix: "it's %p " }])
  }
  expect(heard).toEqual(cluster.nodes.map(({ name, port }) => `${name} is up on port ${port}`))
})

const debianBinaries = '/usr/lib/postgresql/15/bin'

test.skipIf(!existsSync(debianBinaries))(
  'a local PostgreSQL is used instead of the npm package (needs PostgreSQL 15 in /usr/lib/postgresql)',
  async () => {
    await using cluster = await startPostgresCluster({ binDirectory: debianBinaries })
    expect(await cluster.replicas[0]?.query('show server_version_num')).toMatchObject([
      { server_version_num: expect.stringMatching(/^15/) },
    ])
    await cluster.replicas[0]?.setApplyDelay(100)
    await cluster.replicas[0]?.pauseReplay()
    await cluster.primary.kill()
  },
)
