import { beforeAll, expect, test } from 'vitest'
import { useCluster } from '../support/shop.ts'
import { MUTANTS } from '../support/tenant-mutants.ts'
import { checkTenants, TENANTS_SQL } from '../support/tenants.ts'

// The settings of a client follow it from session to session, and reach nobody else, whatever fails. Row-level
// security depends on that. STATEMENTS is the number of statements; `npm run test:tenants` sends 100,000, which takes
// some minutes.
const STATEMENTS = Number(process.env.STATEMENTS ?? 25_000)
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const { cluster } = useCluster({ replicas: 2, sql: TENANTS_SQL, settings: { max_connections: 200 } })

beforeAll(() => console.log(`The seed is ${SEED}.`))

test(`nobody sees another's rows in ${STATEMENTS} statements under faults`, {
  timeout: 1_200_000,
}, async () => {
  const report = await checkTenants({ cluster, statements: STATEMENTS, seed: SEED, forMs: 1_100_000 })
  console.log(JSON.stringify({ ...report, violations: report.violations.length }))
  expect(report.violations.slice(0, 20)).toEqual([])
  expect(report.statements).toBeGreaterThanOrEqual(STATEMENTS)
  expect(report.onReplicas).toBeGreaterThan(STATEMENTS / 4)
  expect(Object.keys(report.faults).length).toBeGreaterThan(5)
})

// Each mutant breaks the package in one place. A test that does not find them proves nothing.
test.each(Object.entries(MUTANTS))(
  'it is found out where the package %s',
  { timeout: 120_000 },
  async (what, breaks) => {
    const mend = breaks()
    try {
      const report = await checkTenants({
        cluster,
        statements: 100_000,
        seed: SEED,
        untilFound: true,
        forMs: 60_000,
      })
      console.log(what, report.statements, report.violations[0])
      expect(report.violations.length).toBeGreaterThan(0)
    } finally {
      mend()
      await cluster.primary.query('delete from note where tenant <> body')
    }
  },
)
