import type { PostgresNode } from 'write-pinning/testing'

/** Has a replica follow another primary; whether it can depends on what it has replayed. */
export async function follow(replica: PostgresNode, leader: PostgresNode): Promise<void> {
  const [row] = await replica.query<{ slot: string }>("select current_setting('primary_slot_name') as slot")
  await leader.query('select pg_create_physical_replication_slot($1, true)', [row?.slot])
  await replica.query(
    `alter system set primary_conninfo to 'host=${leader.host} port=${leader.port} user=postgres'`,
  )
  await replica.query('select pg_reload_conf()')
}
