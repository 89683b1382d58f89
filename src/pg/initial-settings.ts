import { Settings, settingStatement } from '../sql/settings.ts'

/** The settings that a client of `pg` sends to its server as it connects, by their names in its configuration. */
export const INITIAL_SETTINGS = [
  ...['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'],
  ...['application_name', 'options'],
] as const

/**
 * The settings that a client's configuration asks for (https://node-postgres.com/apis/client). Here the session already
 * exists, so they are set like any others.
 */
export function initialSettings(config: Readonly<Record<string, unknown>>): Settings {
  let settings = Settings.NONE
  const set = (name: string, value: string) => {
    settings = settings.with({ does: 'set', name: name.toLowerCase(), text: settingStatement(name, value) })
  }
  for (const name of INITIAL_SETTINGS) {
    const value = config[name]
    if (value === undefined || value === null || value === false || value === '') continue
    if (name !== 'options')
      set(name, TIMES.has(name) ? String(Number.parseInt(String(value), 10)) : String(value))
    // In an option, a space within a value needs a backslash before it
    // (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS).
    else
      for (const [, its = '', given = ''] of String(value).matchAll(OPTION))
        set(its.replaceAll('-', '_'), given.replaceAll(/\\(.)/g, '$1'))
  }
  return settings
}

const TIMES: ReadonlySet<string> = new Set([
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
])
const OPTION = /(?<=^|\s)(?:-c\s*|--)([\w.-]+)=((?:\\.|[^\\\s])*)/g
