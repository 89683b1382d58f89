import { usePrimary, useReplica } from 'write-pinning'
import type { Random } from '../sql/random.ts'
import type { TenantClient, TenantRow } from './tenant-clients.ts'

/** The login of the clients' pools. */
export const USER = 'app'

/** The results of many statements of many tenants. */
export interface TenantsReport {
  statements: number
  /** Reads, also those that had to give no rows. */
  reads: number
  /** Statements that were sent to replicas. */
  onReplicas: number
  /** The number of errors, by code. */
  readonly failed: Record<string, number>
  /** Reads that gave rows of another tenant, or none for a tenant that has some. Each with the statements before it. */
  readonly violations: string[]
  faults: Record<string, number>
}

/** The identity that a client has set. */
interface Identity {
  readonly tenant?: string | undefined
  readonly role?: string | undefined
}

const READ = 'select tenant, current_user as who from note'
const INSERT = 'insert into note (tenant, body) values (tenant(), $1) returning tenant, current_user as who'

/** Opens one client after the other. All work for the same tenant, or for nobody. */
export class TenantWork {
  readonly #name: string | undefined
  readonly #tenants: readonly string[]
  readonly #label: string
  readonly #open: () => Promise<TenantClient>
  readonly #random: Random
  readonly #report: TenantsReport
  readonly #isOver: () => boolean
  /** The identity that is set outside a transaction. */
  #kept: Identity = {}
  #now: Identity = {}
  /** The statements that were sent, the last one last. */
  #log: string[] = []

  constructor(parts: {
    /** The tenant; undefined for nobody. */
    readonly name: string | undefined
    /** All tenants. */
    readonly tenants: readonly string[]
    readonly kind: string
    readonly open: () => Promise<TenantClient>
    readonly random: Random
    readonly report: TenantsReport
    readonly isOver: () => boolean
  }) {
    this.#name = parts.name
    this.#tenants = parts.tenants
    this.#label = `${parts.name ?? 'nobody'} by ${parts.kind}`
    this.#open = parts.open
    this.#random = parts.random
    this.#report = parts.report
    this.#isOver = parts.isOver
  }

  async run(): Promise<void> {
    while (!this.#isOver()) {
      let client: TenantClient | undefined
      try {
        client = await this.#open()
        await this.#use(client)
      } catch (error) {
        this.#failed(error)
      }
      await client?.close().catch((error: unknown) => this.#failed(error))
    }
  }

  /** Sets the tenant, and works. Throws if the client cannot be used any more. */
  async #use(client: TenantClient): Promise<void> {
    this.#kept = {}
    this.#now = this.#kept
    this.#log = []
    if (this.#name !== undefined) await this.#become(client, this.#name)
    for (let left = 5 + this.#random.below(30); left > 0 && !this.#isOver(); left--) {
      try {
        await this.#work(client)
      } catch (error) {
        this.#failed(error)
        if (client.isDead || isOutOfUse(error)) return
      }
    }
  }

  async #work(client: TenantClient): Promise<void> {
    const random = this.#random
    const turn = random.below(100)
    if (turn < 80) await this.#read(client)
    else if (turn < 82) await this.#write(client)
    else if (turn < 88) await this.#transaction(client)
    else if (turn < 89) await this.#send(client, random.pick(WRONG))
    else if (turn < 90) await this.#hurried(client)
    else if (this.#name !== undefined) {
      if (turn < 97) await this.#become(client, this.#name)
      else {
        await this.#set(client, random.pick(['reset all', 'discard all']), undefined)
        await this.#read(client)
        await this.#become(client, this.#name)
      }
    }
  }

  /** Becomes the tenant in a random way. */
  async #become(client: TenantClient, tenant: string): Promise<void> {
    const random = this.#random
    // A role counts as a tenant only if no tenant is set. Otherwise the set tenant counts.
    const asRole = random.chance(0.3)
    const [text, values] = random.pick(asRole ? ROLE_WAYS : SETTING_WAYS)(tenant)
    const change: Identity = asRole ? { role: tenant } : { tenant }
    if (random.chance(0.8)) return await this.#set(client, text, change, values)
    await this.#inTransaction(client, 'begin', async () => {
      const other = random.pick(this.#tenants)
      if (random.chance(0.5)) {
        await this.#send(client, 'savepoint a')
        const before = this.#now
        await this.#set(client, `set app.tenant = '${other}'`, { tenant: other })
        if (random.chance(0.5)) await this.#read(client)
        if (random.chance(0.3)) {
          await this.#send(client, 'savepoint b')
          await this.#send(client, 'release savepoint b')
        }
        await this.#send(client, random.pick(['rollback to a', 'rollback to savepoint a']))
        this.#now = before
      }
      await this.#set(client, text, change, values)
      return 'commit'
    })
  }

  /** Runs a statement that sets something, or that resets everything. */
  async #set(
    client: TenantClient,
    text: string,
    change: Identity | undefined,
    values?: readonly unknown[],
  ): Promise<void> {
    const isAlone = this.#now === this.#kept
    const role = text === 'discard all' ? undefined : this.#now.role
    await this.#send(client, text, values)
    this.#now = change === undefined ? { role } : { ...this.#now, ...change }
    if (isAlone && !this.#isInTransaction) this.#kept = this.#now
  }

  #isInTransaction = false

  async #inTransaction(
    client: TenantClient,
    begin: string,
    work: () => Promise<'commit' | 'rollback' | 'rollback and chain'>,
  ): Promise<void> {
    await this.#send(client, begin)
    this.#isInTransaction = true
    try {
      const end = await work()
      await this.#send(client, end)
      if (end === 'commit') this.#kept = this.#now
      this.#now = this.#kept
      if (end === 'rollback and chain') {
        await this.#read(client)
        await this.#send(client, 'commit')
      }
    } catch (error) {
      this.#failed(error)
      this.#now = this.#kept
      // If the rollback fails, or the commit failed, nobody knows what is set. So the client is not used any more.
      if (this.#log.at(-1) === 'commit') throw new OutOfUse()
      await this.#send(client, 'rollback').catch((cause: unknown) => {
        this.#failed(cause)
        throw new OutOfUse()
      })
    } finally {
      this.#isInTransaction = false
    }
  }

  async #transaction(client: TenantClient): Promise<void> {
    const random = this.#random
    const isReadOnly = random.chance(0.8)
    const begin = isReadOnly ? 'begin read only' : 'begin'
    await this.#scoped(() =>
      this.#inTransaction(client, begin, async () => {
        for (let left = random.below(3); left > 0; left--) {
          if (isReadOnly || random.chance(0.5)) await this.#read(client, true)
          else await this.#write(client)
        }
        if (!random.chance(0.5)) return 'commit'
        if (this.#name !== undefined) {
          const other = random.pick(this.#tenants)
          await this.#set(client, `set app.tenant = '${other}'`, { tenant: other })
          await this.#read(client, true)
        }
        return random.chance(0.3) ? 'rollback and chain' : 'rollback'
      }),
    )
  }

  async #read(client: TenantClient, isScoped = this.#isInTransaction): Promise<void> {
    const read = () => this.#readBy(client)
    const rows = await (isScoped ? read() : this.#scoped(read))
    this.#check(rows)
  }

  async #readBy(client: TenantClient): Promise<TenantRow[]> {
    const turn = this.#random.below(20)
    if (turn < 2 && client.stream !== undefined) return await this.#told('stream', client.stream(READ))
    if (turn < 4 && client.named !== undefined) return await this.#told('named', client.named('notes', READ))
    if (turn < 5 && client.named !== undefined) return await this.#send(client, `select 1; ${READ}`)
    if (turn < 12) return await this.#send(client, `${READ} where id > $1`, [0])
    return await this.#send(client, READ)
  }

  async #write(client: TenantClient): Promise<void> {
    const expected = this.#expected
    // Without a tenant, nothing can be written.
    if (expected === undefined) return await this.#read(client)
    this.#check(await this.#send(client, INSERT, [expected]))
  }

  async #hurried(client: TenantClient): Promise<void> {
    const slow = `${READ}, pg_sleep(0.02)`
    if (client.hurried === undefined) this.#check(await this.#send(client, slow))
    else
      this.#check(
        await this.#told(
          'hurried',
          this.#scoped(() => client.hurried?.(slow, 5) ?? Promise.resolve([])),
        ),
      )
  }

  /** Runs `work` in a random scope. It mostly reads from a replica. */
  #scoped<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#random.below(10)
    if (turn < 1) return usePrimary(work)
    return turn < 6 ? useReplica(work) : work()
  }

  async #send(client: TenantClient, text: string, values?: readonly unknown[]): Promise<TenantRow[]> {
    return await this.#told(text, client.run(text, values))
  }

  async #told<T>(what: string, running: Promise<T>): Promise<T> {
    this.#report.statements++
    this.#log.push(what)
    return await running
  }

  get #expected(): string | undefined {
    return this.#now.tenant ?? this.#now.role
  }

  #check(rows: readonly TenantRow[]): void {
    this.#report.reads++
    const expected = this.#expected
    const whose = [...new Set(rows.map(({ tenant, who }) => `${tenant} as ${who}`))]
    const right = expected === undefined ? [] : [`${expected} as ${this.#now.role ?? USER}`]
    if (whose.join() === right.join()) return
    const before = this.#log.slice(-6).join(' | ')
    this.#report.violations.push(`${this.#label} saw [${whose}] and not [${right}] after ${before}`)
  }

  #failed(error: unknown): void {
    if (error instanceof OutOfUse) return
    const { code, message } = (error ?? {}) as { code?: string; message?: string }
    // Knex puts the text of the statement before the server's message.
    const name = code ?? String(message).replace(/^.* - /s, '')
    this.#report.failed[name] = (this.#report.failed[name] ?? 0) + 1
  }
}

/** Thrown if nobody knows any more what a client has set. */
class OutOfUse extends Error {}

function isOutOfUse(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown }
  return (
    code === 'ERR_WRITE_PINNING_UNKNOWN_OUTCOME' ||
    error instanceof OutOfUse ||
    /not queryable/.test(String(message))
  )
}

type Way = (tenant: string) => readonly [text: string, values?: readonly unknown[]]

const SETTING_WAYS: readonly Way[] = [
  (tenant) => [`select set_config('app.tenant', $1, false)`, [tenant]],
  (tenant) => ['select set_config($1, $2, $3)', ['app.tenant', tenant, false]],
  (tenant) => [`select set_config('app.tenant', '${tenant}', false)`],
  (tenant) => [`set app.tenant = '${tenant}'`],
  (tenant) => [`set session app.tenant to ${tenant}`],
]

const ROLE_WAYS: readonly Way[] = [
  (tenant) => [`set role ${tenant}`],
  (tenant) => [`select set_config('role', $1, false)`, [tenant]],
]

const WRONG = [
  'select 1 / 0',
  'select * from missing',
  'select',
  "set timezone to 'nowhere'",
  'set role nobody_has_this',
]
