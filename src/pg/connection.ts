import type { Session } from '../nodes/session.ts'
import { RoutedConnection } from '../routing/connection.ts'

/** A connection whose holder hears where it is. */
export class PgConnection extends RoutedConnection {
  /** Told of the session that it comes to, and of undefined as it leaves that. */
  onMoved: ((session: Session | undefined) => void) | undefined

  protected override moved(session: Session | undefined): void {
    this.onMoved?.(session)
  }
}
