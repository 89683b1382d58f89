import {
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  PostgresQueryCompiler,
  type QueryCompiler,
} from 'kysely'
import { StatementClassifier } from '../sql/classifier.ts'
import { PrimaryAdapter } from './adapter.ts'
import { CatalogReader } from './catalog-reader.ts'
import { Cluster } from './cluster.ts'
import { ContextWatch } from './context-watch.ts'
import {
  type DialectSettings,
  dialectSettings,
  type PrimaryReplicaDialectOptions,
} from './dialect-options.ts'
import { PrimaryReplicaDriver } from './driver.ts'
import { FunctionWatch } from './function-watch.ts'
import { PrimaryIntrospector } from './introspector.ts'
import { NodeDriver } from './node-driver.ts'

/**
 * A Kysely dialect for one PostgreSQL primary and its replicas: writes and transactions go to the primary, reads
 * to a replica, unless the request's pin or a scope demands the primary.
 *
 * @throws {WritePinningError} for every option that is wrong or unknown, and for a node without connection string.
 * @example
 * const db = new Kysely<Database>({
 *   dialect: new PrimaryReplicaDialect({
 *     primary: new Pool({ connectionString: process.env.DATABASE_URL }),
 *     replicas: [new Pool({ connectionString: process.env.DATABASE_REPLICA_URL })],
 *   }),
 * })
 */
export class PrimaryReplicaDialect implements Dialect {
  readonly #settings: DialectSettings

  constructor(options: PrimaryReplicaDialectOptions) {
    this.#settings = dialectSettings(options)
  }

  createDriver(): Driver {
    const { name, nodes, withoutContext, classifier: options, enforceReadOnly, driver } = this.#settings
    const primary = new NodeDriver(nodes.primary, driver, false)
    const replicas = nodes.replicas.map((each) => new NodeDriver(each, driver, enforceReadOnly))
    const classifier = new StatementClassifier(options, () => catalog.readAgain())
    const catalog = new CatalogReader([primary, ...replicas], () => classifier)
    const watch = new ContextWatch(name, nodes.replicas.length > 0, withoutContext)
    const functions = new FunctionWatch(name)
    return new PrimaryReplicaDriver(
      new Cluster({ name, primary, replicas, classifier, withoutContext, watch, functions }),
      catalog,
    )
  }

  createQueryCompiler(): QueryCompiler {
    return new PostgresQueryCompiler()
  }

  createAdapter(): DialectAdapter {
    return new PrimaryAdapter()
  }

  // biome-ignore lint/suspicious/noExplicitAny: the type is Kysely's own.
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return new PrimaryIntrospector(db)
  }
}
