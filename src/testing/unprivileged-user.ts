import { readFileSync } from 'node:fs'

/** The user that the servers run as. */
export interface ServerUser {
  uid: number
  gid: number
}

/** PostgreSQL refuses to run as root. So as root this gives `postgres` if that user exists, else `nobody`. */
export function unprivilegedUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  return userNamed('postgres') ?? userNamed('nobody') ?? { uid: 65534, gid: 65534 }
}

function userNamed(name: string): ServerUser | undefined {
  let accounts = ''
  try {
    accounts = readFileSync('/etc/passwd', 'utf8')
  } catch {
    return undefined
  }
  const [, , uid, gid] =
    accounts
      .split('\n')
      .find((line) => line.startsWith(`${name}:`))
      ?.split(':') ?? []
  // macOS writes nobody's -2 there. The kernel takes it as an unsigned number.
  return uid && gid ? { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 } : undefined
}
