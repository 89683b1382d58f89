/**
 * Stands in for a `pg` pool and answers at once, with nothing: what is left to measure is what Kysely and its
 * dialect do.
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
