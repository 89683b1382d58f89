import { WritePinningError } from './errors.ts'

/**
 * Loads an optional peer dependency, which only a part of `entry` needs. `load` is the import itself, so that
 * bundlers and the compiler see the package's name.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_MISSING_PACKAGE` if the package is not installed.
 */
export async function importPeer<T>(entry: string, name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw peerError(entry, name, cause)
  }
}

/**
 * Gives the error to throw if a peer dependency could not be loaded. If the package is missing, that error says what
 * to install.
 */
export function peerError(entry: string, name: string, cause: unknown): unknown {
  if (!isMissing(cause, name)) return cause
  return new WritePinningError(
    'ERR_WRITE_PINNING_MISSING_PACKAGE',
    `${entry} needs the package ${name}, which is not installed: npm install ${name}`,
    { cause },
  )
}

/**
 * Whether this package is missing, and not one that it imports. Yarn's Plug'n'Play does not quote the package's name.
 */
function isMissing(error: unknown, name: string): boolean {
  const { code, message = '' } = error as NodeJS.ErrnoException
  const isNotFound = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
  return isNotFound && (message.includes(`'${name}'`) || message.includes(` tried to access ${name} `))
}
