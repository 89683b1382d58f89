import pg from 'pg'

/** Gives the parser of a type's values, by its oid and format. */
interface Parsers {
  getTypeParser(oid: number, format?: 'text' | 'binary'): unknown
}

/** The type parsers of one client: its own, and for other types those of the pool, or `pg`'s. */
export class TypeParsers implements Parsers {
  readonly #others: Parsers
  readonly #own = new Map<string, unknown>()

  constructor(others: unknown) {
    this.#others = (others ?? pg.types) as Parsers
  }

  setTypeParser(oid: number, formatOrParser: unknown, parser?: unknown): void {
    const isFormat = typeof formatOrParser === 'string'
    this.#own.set(`${isFormat ? formatOrParser : 'text'} ${oid}`, isFormat ? parser : formatOrParser)
  }

  getTypeParser(oid: number, format: 'text' | 'binary' = 'text'): unknown {
    return this.#own.get(`${format} ${oid}`) ?? this.#others.getTypeParser(oid, format)
  }
}
