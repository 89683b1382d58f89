/** What PostgreSQL's own parser says of the names in a statement, and of what it calls without a sign. */
export interface NamesInTree {
  /** The relations that it reads and changes, as `schema.name` or `name`, less the common tables that are seen there. */
  readonly relations: ReadonlySet<string>
  /** The attributes of expressions: `(x).name`. */
  readonly attributes: ReadonlySet<string>
  /** The types that it names, without their schemas. */
  readonly types: ReadonlySet<string>
  /** Whether anything in it may call a function, an operator or a cast. */
  readonly operates: boolean
}

export function namesInTree(statement: object): NamesInTree {
  const names = new Names()
  names.walk(statement, new Set())
  return names
}

interface Tree {
  readonly [key: string]: unknown
}

class Names implements NamesInTree {
  readonly relations = new Set<string>()
  readonly attributes = new Set<string>()
  readonly types = new Set<string>()
  operates = false

  walk(node: unknown, scope: ReadonlySet<string>): void {
    if (typeof node !== 'object' || node === null) return
    if (Array.isArray(node)) {
      for (const each of node) this.walk(each, scope)
      return
    }
    const tree = node as Tree
    const within = 'withClause' in tree ? this.#walkWith(tree.withClause as Tree, scope) : scope
    for (const [key, value] of Object.entries(tree)) {
      if (OPERATING_KEYS.has(key) || (key === 'TypeCast' && !isNationalString(value as Tree)))
        this.operates = true
      if (key === 'op' && typeof value === 'string' && value.startsWith('SETOP_') && value !== 'SETOP_NONE') {
        this.operates = true
      }
      if (key === 'withClause' || key === 'lockingClause' || key === 'intoClause') continue
      if (key === 'RangeVar') this.#relation(value as Tree, within)
      else this.#walkValue(key, value, within)
    }
  }

  #walkValue(key: string, value: unknown, scope: ReadonlySet<string>): void {
    if (CHANGES.has(key)) {
      const { relation, ...rest } = value as Tree
      // What is written to is never a common table.
      this.#relation(relation as Tree, new Set())
      this.walk(rest, scope)
      return
    }
    if (key === 'A_Indirection')
      for (const name of namesOf((value as Tree).indirection)) this.attributes.add(name)
    if (key === 'TypeName') this.types.add(namesOf((value as Tree).names).at(-1) ?? '')
    this.walk(value, scope)
  }

  /** The names that a `with` adds to those that are seen: each behind its own body, or in all of them where it is recursive. */
  #walkWith({ ctes = [], recursive }: Tree, outer: ReadonlySet<string>): ReadonlySet<string> {
    const tables = (ctes as readonly { CommonTableExpr: Tree }[]).map((each) => each.CommonTableExpr)
    const scope = new Set(outer)
    if (recursive === true) for (const { ctename } of tables) scope.add(String(ctename))
    for (const { ctename, ...rest } of tables) {
      this.walk(rest, new Set(scope))
      scope.add(String(ctename))
    }
    return scope
  }

  #relation({ schemaname, relname }: Tree, scope: ReadonlySet<string>): void {
    if (schemaname === undefined && scope.has(String(relname))) return
    this.relations.add(schemaname === undefined ? String(relname) : `${schemaname}.${relname}`)
  }
}

/** `N'…'`, which the parser takes for a cast to a type of PostgreSQL's own. */
function isNationalString({ typeName }: Tree): boolean {
  return namesOf((typeName as Tree | undefined)?.names).join('.') === 'pg_catalog.bpchar'
}

function namesOf(nodes: unknown): string[] {
  return ((nodes ?? []) as readonly { String?: { sval?: string } }[]).flatMap(
    ({ String: name }) => name?.sval ?? [],
  )
}

const CHANGES = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])
const OPERATING_KEYS = new Set([
  'A_ArrayExpr',
  'A_Expr',
  'A_Indices',
  'BoolExpr',
  'BooleanTest',
  'CaseExpr',
  'CoalesceExpr',
  'FuncCall',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'MinMaxExpr',
  'XmlExpr',
  'distinctClause',
  'groupClause',
  'isNatural',
  'sortClause',
  'testexpr',
  'usingClause',
  'whereClause',
])
