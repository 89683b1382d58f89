import type { BoundSession } from './bound-session.ts'
import type { ClientSettings } from './client-settings.ts'
import type { Cluster } from './cluster.ts'
import type { Outcome } from './outcome.ts'
import type { ReadOnlyBinding } from './read-only-binding.ts'
import type { Transaction } from './transaction.ts'

/** What the statements of one connection run in. */
export interface Place {
  readonly cluster: Cluster
  readonly session: BoundSession
  readonly transaction: Transaction
  /** What its client has set. */
  readonly settings: ClientSettings
  /** The node of a `read only` transaction. */
  readonly binding: ReadOnlyBinding
  readonly outcome: Outcome
  /** Whether whoever has it has ended it: nothing is begun on it any more. */
  isEnded(): boolean
  /** Told as a statement is over. */
  leave(): void
}
