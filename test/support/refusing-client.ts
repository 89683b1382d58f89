import pg from 'pg'

/** Acts as a pooler that refuses start-up options. PgBouncer does so unless it is told to ignore them. */
export class RefusingClient extends pg.Client {
  // biome-ignore lint/suspicious/noExplicitAny: it is overloaded, and only the form that pools use matters here.
  override connect(callback?: any): any {
    const { options } = (this as unknown as { connectionParameters: { options?: string } })
      .connectionParameters
    if (!options) return super.connect(callback)
    const refused = Object.assign(new Error('unsupported startup parameter: options'), { code: '08P01' })
    setTimeout(() => callback(refused), 5)
  }
}
