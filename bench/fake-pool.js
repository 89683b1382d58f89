/**
 * Stands in for a `pg` pool, and answers at once with an empty result. So only the work of Kysely and its dialect is
 * measured.
 */
export class FakePool {
  options = {}
  #client = new FakeClient()

  async connect() {
    return this.#client
  }

  async end() {}
}

class FakeClient {
  async query() {
    return RESULT
  }

  release() {}
}

const RESULT = { command: 'SELECT', rowCount: 0, rows: [] }
