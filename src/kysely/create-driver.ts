import { AddressWatch } from '../nodes/address-watch.ts'
import { Discovery } from '../nodes/discovery.ts'
import type { NodeOptions } from '../nodes/node-options.ts'
import { ReplicaSet } from '../nodes/replica-set.ts'
import { CatalogReader } from '../routing/catalog-reader.ts'
import { CatalogReports } from '../routing/catalog-reports.ts'
import { Cluster } from '../routing/cluster.ts'
import type { ClusterOperator } from '../routing/cluster-operator.ts'
import { ContextWatch } from '../routing/context-watch.ts'
import { FunctionWatch } from '../routing/function-watch.ts'
import { NodeDriver } from '../routing/node-driver.ts'
import { StatementClassifier } from '../sql/classifier.ts'
import type { DialectSettings } from './dialect-options.ts'
import { PrimaryReplicaDriver } from './driver.ts'

/** Puts a driver together, with nodes of its own; nothing is opened before its `init` is called. */
export function createDriver(settings: DialectSettings, operator: ClusterOperator): PrimaryReplicaDriver {
  const { name, nodes, withoutContext, enforceReadOnly, driver, replicaSet } = settings
  const { maxLagMs, connectTimeoutMs, lookup } = replicaSet
  const defaults = { maxLagMs, enforceReadOnly, connectTimeoutMs, lookup, driver }
  const make = (options: NodeOptions, at = lookup) => new NodeDriver(options, { ...defaults, lookup: at })

  const replicas = nodes.replicas.filter(({ discover }) => discover === undefined)
  const set = new ReplicaSet<NodeDriver>({
    name,
    primary: make(nodes.primary),
    replicas: replicas.map((each) => make(each)),
    settings: replicaSet,
    operator: operator.state,
  })
  const discovered = nodes.replicas.filter(({ discover }) => discover !== undefined)
  const discovery = new Discovery(set, discovered, make, lookup)
  const addresses = new AddressWatch(set, lookup)

  const classifier = new StatementClassifier(settings.classifier, (call) => catalog.heardOf(call))
  const catalog = new CatalogReader({
    nodes: () => set.nodes,
    classifier: () => classifier,
    options: settings.classifier,
    reports: new CatalogReports(name),
  })
  const latestMs = Math.max(0, ...nodes.replicas.map((each) => each.maxLagMs ?? maxLagMs))
  const watch = new ContextWatch(name, latestMs, nodes.replicas.length > 0, withoutContext)
  const functions = new FunctionWatch(name)
  const cluster = new Cluster({ set, classifier, catalog, withoutContext, watch, functions })
  const created = new PrimaryReplicaDriver({
    cluster,
    catalog,
    discovery,
    addresses,
    onInit: () => operator.opened(set),
    onDestroy: () => operator.closed(created, set),
  })
  operator.created(created)
  return created
}
