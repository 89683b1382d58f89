import type { RouteEvent } from 'write-pinning'
import type { Html } from '../html.ts'
import type { Visit } from '../visit.ts'

export interface Page {
  readonly title: string
  readonly path: '/' | '/wishlist'
  readonly main: Html
}

/** What the frame around a page shows of the request. */
export interface Frame {
  readonly visit: Visit
  readonly pin: { readonly pinned: boolean; readonly until: Date | undefined }
  readonly isPinningOff: boolean
  readonly statements: readonly RouteEvent[]
  /** In ms since the epoch. */
  readonly now: number
}
