import {
  CamelCasePlugin,
  DeduplicateJoinsPlugin,
  type KyselyPlugin,
  OperationNodeTransformer,
  ParseJSONResultsPlugin,
  type RootOperationNode,
  sql,
  WithSchemaPlugin,
} from 'kysely'
import { describe, expect, test, vi } from 'vitest'
import { orPrimary, toPrimary, toReplica } from 'write-pinning/kysely'
import { inRequest, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// A plugin that comes after a mark may make new nodes of the whole query.
const { db } = useShop()

/** Plugins that see the query's nodes: each makes new ones. */
class Rebuilder extends OperationNodeTransformer {}
const own = (rebuild: (node: RootOperationNode) => RootOperationNode): KyselyPlugin => ({
  transformQuery: ({ node }) => rebuild(node),
  transformResult: async ({ result }) => result,
})
const plugins: Record<string, () => KyselyPlugin> = {
  CamelCasePlugin: () => new CamelCasePlugin(),
  DeduplicateJoinsPlugin: () => new DeduplicateJoinsPlugin(),
  ParseJSONResultsPlugin: () => new ParseJSONResultsPlugin(),
  WithSchemaPlugin: () => new WithSchemaPlugin('public'),
  'one that rebuilds every node': () => own((node) => new Rebuilder().transformNode(node)),
  'one that copies the root by its properties': () =>
    own((node) => Object.fromEntries(Object.entries(node)) as unknown as RootOperationNode),
}

const items = () => db.selectFrom('item').select('id')

describe.each(Object.keys(plugins))('a mark holds with %s', (name) => {
  const plugin = () => (plugins[name] as () => KyselyPlugin)()

  test('that is added after it', async () => {
    const routes = await whereAndWhyInRequest(async () => {
      await items().$call(toPrimary).withPlugin(plugin()).execute()
      await items().$call(toPrimary).withPlugin(plugin()).withPlugin(plugin()).executeTakeFirst()
      for await (const _row of items().$call(toPrimary).withPlugin(plugin()).stream());
      await toPrimary(sql`select 1`).withPlugin(plugin()).execute(db)
      await items().where('id', '=', -1).$call(orPrimary).withPlugin(plugin()).execute()
      await db
        .insertInto('item')
        .values({ name: 'x' })
        .returning('id')
        .$call(toReplica)
        .withPlugin(plugin())
        .execute()
      await items().$call(toReplica).withPlugin(plugin()).execute()
    })
    expect(routes).toEqual([
      ...Array(4).fill('primary: mark'),
      'replica: read',
      'primary: or-primary',
      'primary: write',
      'replica: mark',
    ])
  })

  test('of the database that executes it', async () => {
    const other = db.withPlugin(plugin())
    const routes = await whereAndWhyInRequest(async () => {
      await other.selectFrom('item').select('id').$call(toPrimary).execute()
      await toPrimary(sql`select 1`).execute(other)
      await other
        .transaction()
        .execute((trx) => trx.selectFrom('item').select('id').$call(toReplica).execute())
    })
    expect(routes).toEqual(['primary: mark', 'primary: mark', 'primary: transaction'])
  })

  test('where it is compiled first, and executed later', async () => {
    const compiled = items().$call(toPrimary).withPlugin(plugin()).compile()
    await items().execute()
    const routes = await whereAndWhyInRequest(async () => {
      await db.executeQuery(compiled)
      await db.withoutPlugins().executeQuery({ ...compiled })
    })
    expect(routes).toEqual(['primary: mark', 'primary: mark'])
  })

  test('and is no other query’s', async () => {
    const query = items()
    const marked = query.$call(toPrimary).withPlugin(plugin())
    const routes = await whereAndWhyInRequest(async () => {
      await Promise.all([marked.execute(), query.execute()])
      await Promise.all([query.execute(), marked.execute()])
    })
    expect(routes.toSorted()).toEqual([...Array(2).fill('primary: mark'), ...Array(2).fill('replica: read')])
    expect(
      await whereAndWhyInRequest(async () => {
        await Promise.all([db.selectFrom(marked.as('part')).selectAll().execute(), query.execute()])
        await query.execute()
        marked.toOperationNode()
        await null
        await query.execute()
      }),
    ).toEqual(Array(4).fill('replica: read'))
  })
})

test('a mark of one copy of the package holds for the dialect of another', async () => {
  vi.resetModules()
  const copy = await import('write-pinning/kysely')
  expect(copy.toPrimary).not.toBe(toPrimary)
  const routes = await whereAndWhyInRequest(async () => {
    await items().$call(copy.toPrimary).execute()
    await items().$call(copy.toPrimary).withPlugin(new CamelCasePlugin()).execute()
  })
  expect(routes).toEqual(['primary: mark', 'primary: mark'])
})

test('the query that a hook or a log sees is the marked one', async () => {
  await inRequest(async () => {
    const compiled = items().$call(toPrimary).withPlugin(new CamelCasePlugin()).compile()
    expect(compiled).toMatchObject({
      sql: 'select "id" from "item"',
      parameters: [],
      query: { kind: 'SelectQueryNode' },
    })
  })
})
