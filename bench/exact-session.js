const WRITE_SHARE = 0.2

/** A user, who has a row of their own and knows what they wrote to it. */
export class Session {
  #app
  #id
  #value = 0
  /** @type {string | undefined} */
  #cookie

  /**
   * @param {import('./exact-cluster.js').App} app
   * @param {number} id
   */
  constructor(app, id) {
    this.#app = app
    this.#id = id
  }

  /** @param {number} untilMs */
  async run(untilMs) {
    const counts = { reads: 0, writes: 0, onReplicas: 0, stale: 0 }
    while (performance.now() < untilMs) {
      if (Math.random() < WRITE_SHARE) {
        this.#cookie = (await this.#app.write(this.#id, ++this.#value, this.#cookie)) ?? this.#cookie
        counts.writes++
        continue
      }
      const { value, isOnReplica } = await this.#app.read(this.#id, this.#cookie)
      counts.reads++
      if (isOnReplica) counts.onReplicas++
      if (value !== this.#value) counts.stale++
    }
    return counts
  }
}
