import { WritePinningError } from './errors.ts'

/**
 * Loads an optional peer dependency, which only some of what `entry` does needs. `load` is the import itself, so that
 * bundlers and the compiler see its name.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_MISSING_PACKAGE` where it is not installed.
 */
export async function importPeer<T>(entry: string, name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw peerError(entry, name, cause)
  }
}

/** What to throw where a peer dependency could not be loaded: an error that says what to install, where it is missing. */
export function peerError(entry: string, name: string, cause: unknown): unknown {
  if (!isMissing(cause, name)) return cause
  return new WritePinningError(
    'ERR_WRITE_PINNING_MISSING_PACKAGE',
    `${entry} needs the package ${name}, which is not installed: npm install ${name}`,
    { cause },
  )
}

/** Whether it is this package that is missing, and not one that it imports; Yarn's Plug'n'Play does not quote its name. */
function isMissing(error: unknown, name: string): boolean {
  const { code, message = '' } = error as NodeJS.ErrnoException
  const isNotFound = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
  return isNotFound && (message.includes(`'${name}'`) || message.includes(` tried to access ${name} `))
}
