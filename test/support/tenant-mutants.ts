import { SessionSettings } from '../../src/nodes/session-settings.ts'
import { ClientSettings } from '../../src/routing/client-settings.ts'
import { Settings } from '../../src/sql/settings.ts'

/** Breaks the package in one place, and gives a function that mends it. */
export type Mutant = () => () => void

/** Replaces a method, and gives a function that restores it. */
function instead<Class extends object, Name extends keyof Class>(
  of: Class,
  name: Name,
  method: (original: Class[Name]) => Class[Name],
): () => void {
  const before = Object.getOwnPropertyDescriptor(of, name) as PropertyDescriptor
  Object.defineProperty(of, name, { configurable: true, writable: true, value: method(of[name]) })
  return () => void Object.defineProperty(of, name, before)
}

/** Mutants of the code that keeps the settings of one client from another, by what the package then does wrong. */
export const MUTANTS: Readonly<Record<string, Mutant>> = {
  'forgets one reset': () =>
    instead(
      Settings.prototype,
      'statementsAfter',
      (original) =>
        function (this: Settings, ...args) {
          return original.apply(this, args).filter((text) => text !== 'reset "app"."tenant"')
        },
    ),
  'forgets to take back a role': () =>
    instead(
      Settings.prototype,
      'statementsAfter',
      (original) =>
        function (this: Settings, ...args) {
          return original.apply(this, args).filter((text) => text !== 'reset "role"')
        },
    ),
  'takes what was rolled back for set': () =>
    instead(
      ClientSettings.prototype,
      'ended',
      (original) =>
        function (this: ClientSettings) {
          original.call(this, 'committed')
        },
    ),
  'does not follow a rollback to a savepoint': () =>
    instead(ClientSettings.prototype, 'ranInTransaction', () => () => {}),
  'does not wait for an error of what was laid ahead': () => {
    const wanted = new WeakMap<SessionSettings, { readonly wants: Settings; readonly isOnReplica: boolean }>()
    const had = new WeakMap<SessionSettings, Settings>()
    const mends = [
      instead(
        SessionSettings.prototype,
        'hold',
        (original) =>
          function (this: SessionSettings, wants, isOnReplica) {
            wanted.set(this, { wants, isOnReplica })
            return original.call(this, wants, isOnReplica)
          },
      ),
      instead(
        SessionSettings.prototype,
        'wasSet',
        (original) =>
          function (this: SessionSettings, to) {
            had.set(this, to)
            original.call(this, to)
          },
      ),
      instead(
        SessionSettings.prototype,
        'sendAheadOfNext',
        () =>
          function (this: SessionSettings, sendQuery) {
            const { wants = Settings.NONE, isOnReplica = false } = wanted.get(this) ?? {}
            const before = had.get(this) ?? Settings.NONE
            const statements = wants.statementsAfter(before, Settings.NONE, isOnReplica)
            if (statements.length > 0) sendQuery(statements.join('; '), () => {})
            this.wasSet(wants)
          },
      ),
    ]
    return () => {
      for (const mend of mends) mend()
    }
  },
}
