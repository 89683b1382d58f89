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
  // What no name leads to is not needed, mostly.
  const named = reachable(statements, [
    ...NEEDED.map((each) => each(schema)),
    ...unit.steps.map(({ text }) => text),
  ])
  if (await fails(named, unit)) statements = named
  for (let index = statements.length - 1; index >= 0; index--) {
    const fewer = statements.toSpliced(index, 1)
    if (NEEDED.some((each) => statements[index]?.startsWith(each(schema)))) continue
    if (await fails(fewer, unit)) statements = fewer
  }
  return { statements, unit }
}

/** What has to stay, for `harmlessRead`. */
const NEEDED = [({ base }: Schema) => `create table ${base} (`, () => 'create function surely_harmless(']

/** The statements that define what the texts name, or hang on it, and what those name in turn. */
function reachable(statements: readonly string[], texts: readonly string[]): string[] {
  const needed = new Set<string>()
  const all = [...texts]
  for (let found = true; found; ) {
    found = false
    for (const statement of statements) {
      if (
        needed.has(statement) ||
        !subjectsOf(statement).some((name) => all.some((text) => mentions(text, name)))
      )
        continue
      needed.add(statement)
      all.push(statement)
      found = true
    }
  }
  return statements.filter((each) => needed.has(each))
}

const NAME = String.raw`(?:public\.)?("(?:[^"]|"")+"|[\w$]+|[@#%&|?<>=!~^*/]+)`
const SUBJECTS = [
  `^create (?:unlogged |materialized |or replace )*(?:table|view|function|aggregate|domain|type|sequence|operator|extension) ${NAME}`,
  `^(?:insert into|alter table) ${NAME}`,
  `^create (?:policy|trigger|rule) .* (?:on|to) ${NAME}`,
  String.raw`^create cast \(${NAME}`,
  String.raw`^create cast \(\w+ as ${NAME}`,
  `^create operator .*leftarg = ${NAME}`,
  String.raw`^create operator class \w+ default for type ${NAME}`,
].map((source) => new RegExp(source, 's'))

function subjectsOf(statement: string): string[] {
  return SUBJECTS.flatMap((pattern) => pattern.exec(statement)?.[1] ?? []).filter((name) => name !== 'int')
}

function mentions(text: string, name: string): boolean {
  return name.startsWith('"') || /\W/.test(name)
    ? text.toLowerCase().includes(name.toLowerCase())
    : new RegExp(`\\b${name}\\b`, 'i').test(text)
}
