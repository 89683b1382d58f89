import { expect, it } from 'vitest'
import { useNode } from 'write-pinning'
import { terminateClients } from '../support/server-clients.ts'
import { contract, opened, startCluster } from './contract.ts'

const cluster = await startCluster(2)
const NODES = ['primary', 'replica-1', 'replica-2']

contract((client) => {
  const db = opened(client, cluster)

  const readEverywhere = async () => {
    for (const node of [...NODES, ...NODES]) {
      expect(await useNode(node, () => db().named('lamp')), node).toEqual(['lamp'])
      expect(await useNode(node, () => db().named('nothing')), node).toEqual([])
    }
  }

  it('a statement with a name runs on every node, again and again', async () => {
    await cluster.primary.query("insert into item (name) values ('lamp')")
    await cluster.waitForCatchup()
    await readEverywhere()
  })

  it('a statement with a name runs on new connections, once those that knew it are gone', async () => {
    await cluster.primary.query("insert into item (name) values ('lamp')")
    await cluster.waitForCatchup()
    await readEverywhere()
    for (const node of cluster.nodes) await terminateClients(node)
    await readEverywhere()
  })

  it('a statement with a name runs many times at once', async () => {
    await cluster.primary.query("insert into item (name) values ('lamp')")
    await cluster.waitForCatchup()
    const many = Array.from({ length: 30 }, (_, at) =>
      useNode(NODES[at % 3] as string, () => db().named('lamp')),
    )
    expect(await Promise.all(many)).toEqual(many.map(() => ['lamp']))
  })
}, 'named')
