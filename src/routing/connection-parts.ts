import type { ClientSettings } from './client-settings.ts'
import type { Cluster } from './cluster.ts'
import type { HeldSession } from './held-session.ts'
import type { Outcome } from './outcome.ts'
import type { ReadOnlyBinding } from './read-only-binding.ts'
import type { Transaction } from './transaction.ts'

/** The parts of one connection that all its statements use. */
export interface ConnectionParts {
  readonly cluster: Cluster
  readonly held: HeldSession
  readonly transaction: Transaction
  readonly settings: ClientSettings
  /** The node of a `read only` transaction. */
  readonly binding: ReadOnlyBinding
  readonly outcome: Outcome
  /** Whether the holder has ended the connection. Then no statement begins on it any more. */
  isEnded(): boolean
  /** Called when a statement is over. */
  leave(): void
}
