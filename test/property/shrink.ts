import type { PostgresCluster } from 'write-pinning/testing'
import { Judge } from './judge.ts'
import type { FoundFault } from './run.ts'
import { makeSchema, type Schema } from './schema.ts'
import { Twins } from './twins.ts'
import type { Unit } from './unit.ts'

/** A fault with what it takes: a part of its schema, and of its unit. */
export interface ShrunkFault {
  readonly statements: readonly string[]
  readonly unit: Unit
}

/**
 * Leaves out of a fault whatever it does not need, one thing after the other. Gives undefined where it does not come again on a new
 * database: then it takes what ran before.
 */
export async function shrink(cluster: PostgresCluster, found: FoundFault): Promise<ShrunkFault | undefined> {
  const schema = makeSchema(found.schemaSeed)
  const [fault] = found.verdict.faults
  let tries = 0
  const fails = async (statements: readonly string[], unit: Unit) => {
    tries++
    const part: Schema = { ...schema, statements }
    await using twins = await Twins.make(cluster, part, `shrink_${tries}`)
    const { faults } = await (await Judge.on(twins)).judge(unit)
    return faults.includes(fault as never)
  }
  let { unit } = found.verdict
  let statements: readonly string[] = schema.statements
  if (!(await fails(statements, unit))) return undefined
  for (let index = unit.steps.length - 1; index >= 0 && unit.steps.length > 1; index--) {
    const shorter: Unit = { ...unit, steps: unit.steps.toSpliced(index, 1) }
    if (await fails(statements, shorter)) unit = shorter
  }
  for (let size = Math.ceil(statements.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let end = statements.length; end > 0; end -= size) {
      const fewer = statements.toSpliced(Math.max(0, end - size), Math.min(size, end))
      // What `harmlessRead` needs has to stay.
      if (!NEEDED.every((each) => fewer.some((text) => text.includes(each(schema))))) continue
      if (await fails(fewer, unit)) statements = fewer
    }
  }
  return { statements, unit }
}

const NEEDED = [({ base }: Schema) => `create table ${base} (`, () => 'create function surely_harmless(']
