import type { PostgresNode } from 'write-pinning/testing'

/**
 * Makes a node ask `role` for its password, in plain text, as RDS does with a token. All others log in as before. The
 * role and its password are made on the primary.
 */
export async function askForPassword(node: PostgresNode, role: string): Promise<void> {
  const [file] = await node.query<{ hba_file: string }>('show hba_file')
  const rules = [`host all ${role} 127.0.0.1/32 password`, 'host all all 127.0.0.1/32 trust']
  const lines = rules.map((rule) => `('${rule}')`).join(', ')
  await node.query(
    `copy (values ${lines}, ('host replication all 127.0.0.1/32 trust')) to '${file?.hba_file}'`,
  )
  await node.query('select pg_reload_conf()')
}
