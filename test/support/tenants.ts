import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { ROUTE_CHANNEL } from 'write-pinning'
import type { PostgresCluster } from 'write-pinning/testing'
import { Random } from '../sql/random.ts'
import { TcpProxy } from './tcp-proxy.ts'
import { openTenantClients } from './tenant-clients.ts'
import { makeFaults } from './tenant-faults.ts'
import { type TenantsReport, TenantWork, USER } from './tenant-work.ts'

const CLIENTS = 50
const TENANTS = Array.from({ length: CLIENTS }, (_, at) => `t${at}`)

/** A table in which each client sees the rows of one tenant only: by a setting or, without that, by its role. */
export const TENANTS_SQL = [
  `create role ${USER} login`,
  ...TENANTS.map((each) => `create role ${each}; grant ${each} to ${USER}`),
  'create table note (id serial primary key, tenant text not null, body text not null)',
  `create function tenant() returns text language sql stable
     as $$ select coalesce(nullif(current_setting('app.tenant', true), ''), nullif(current_user, '${USER}')) $$`,
  'alter table note enable row level security',
  'create policy own on note to public using (tenant = tenant()) with check (tenant = tenant())',
  'grant select, insert on note to public',
  'grant usage on sequence note_id_seq to public',
  `insert into note (tenant, body) select 't' || n, 't' || n from generate_series(0, ${CLIENTS - 1}) as n, generate_series(1, 5)`,
]

/**
 * Lets 50 clients of all kinds read and write, each as its own tenant or as nobody, until this many statements are
 * sent. Meanwhile it cancels, terminates and cuts connections, and freezes and kills replicas.
 */
export async function checkTenants(parts: {
  readonly cluster: PostgresCluster
  readonly statements: number
  readonly seed: number
  /** Whether it ends at the first violation. */
  readonly untilFound?: boolean
  readonly forMs: number
}): Promise<TenantsReport> {
  const { cluster, seed } = parts
  const report: TenantsReport = {
    statements: 0,
    reads: 0,
    onReplicas: 0,
    failed: {},
    violations: [],
    faults: {},
  }
  const endsMs = performance.now() + parts.forMs
  let hasEnded = false
  const isOver = () =>
    hasEnded ||
    report.statements >= parts.statements ||
    performance.now() > endsMs ||
    (parts.untilFound === true && report.violations.length > 0)
  const onRoute = (message: unknown) => {
    if ((message as { role: string }).role === 'replica') report.onReplicas++
  }
  subscribe(ROUTE_CHANNEL, onRoute)
  const proxies = await Promise.all(cluster.nodes.map((node) => TcpProxy.start(node)))
  const configs = proxies.map(({ port }) => ({
    connectionString: `postgres://${USER}@127.0.0.1:${port}/test`,
    connectionTimeoutMillis: 5_000,
    max: 3,
  }))
  try {
    const [primary, ...replicas] = configs as [object, ...object[]]
    const nodes = () => ({ primary: { ...primary }, replicas: replicas.map((each) => ({ ...each })) })
    await using clients = await openTenantClients(nodes)
    const kinds = Object.entries(clients.kinds)
    const place = { cluster, proxies, user: USER, roles: TENANTS }
    const made = makeFaults(place, new Random(seed - 1), isOver).finally(() => {
      hasEnded = true
    })
    const working = TENANTS.map((tenant, at) => {
      const [kind, open] = kinds[at % kinds.length] as (typeof kinds)[number]
      const random = new Random(seed + at)
      // One client in seven never sets anything.
      const name = at % 7 === 6 ? undefined : tenant
      return new TenantWork({ name, tenants: TENANTS, kind, open, random, report, isOver }).run()
    })
    report.faults = (await Promise.all([made, ...working]))[0]
  } finally {
    unsubscribe(ROUTE_CHANNEL, onRoute)
    for (const proxy of proxies) await proxy.stop()
  }
  const astray = await cluster.primary.query<{ tenant: string; body: string }>(
    'select tenant, body from note where tenant <> body',
  )
  for (const { tenant, body } of astray)
    report.violations.push(`a row of ${body} was written as one of ${tenant}`)
  return report
}
