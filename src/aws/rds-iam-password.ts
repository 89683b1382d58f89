import type { Signer, SignerConfig } from '@aws-sdk/rds-signer'
import { WritePinningError } from '../errors.ts'
import { importPeer } from '../import-peer.ts'
import { choiceError, OptionReader, wrongOption } from '../options.ts'
import { SharedToken } from './shared-token.ts'

/**
 * The options of {@link rdsIamPassword}: what a token is signed for, and with which credentials. A token is valid for
 * this server, port, user and region only. The types allow undefined, so that `process.env.…` compiles. An undefined
 * value is refused when the function is made.
 */
export interface RdsIamPasswordOptions {
  /** The endpoint's own name, and not an alias of it: the token is signed for this name. */
  hostname: string | undefined
  /** The server's port, from 1 to 65,535. */
  port: number
  /** A database role that was granted `rds_iam`. */
  username: string | undefined
  /** The AWS region of the server, such as `'eu-west-1'`. */
  region: string | undefined
  /**
   * The AWS credentials, or a function that gives them. Default: the usual chain (environment, profile, container,
   * instance).
   */
  credentials?: SignerConfig['credentials'] | undefined
  /** A profile of the AWS configuration, for the usual chain. Default: `AWS_PROFILE`, else `default`. */
  profile?: string | undefined
}

/**
 * Gives a function for `pg`'s option `password` that logs in to RDS or Aurora with IAM.
 *
 * One token serves all connections for some minutes, and a new one is signed in time. A server takes such a token
 * over TLS only.
 *
 * The function rejects with `ERR_WRITE_PINNING_CREDENTIALS` if there is no valid token and none can be signed, and
 * with `ERR_WRITE_PINNING_MISSING_PACKAGE` if `@aws-sdk/rds-signer` is not installed.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` or `ERR_WRITE_PINNING_UNKNOWN_OPTION` for a wrong option.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 * @example
 * import { readFileSync } from 'node:fs'
 * import { Pool } from 'pg'
 * import { rdsIamPassword } from 'write-pinning/aws'
 *
 * const server = { hostname: 'db.abc.eu-west-1.rds.amazonaws.com', port: 5432, username: 'app', region: 'eu-west-1' }
 * const primary = new Pool({
 *   host: server.hostname,
 *   port: server.port,
 *   user: server.username,
 *   database: 'app',
 *   password: rdsIamPassword(server),
 *   ssl: { ca: readFileSync('global-bundle.pem', 'utf8') },
 * })
 */
export function rdsIamPassword(options: RdsIamPasswordOptions): () => Promise<string> {
  const config = signerConfig(options)
  let signer: Signer | undefined
  const sign = async () => {
    signer ??= await openSigner(config)
    return signer.getAuthToken()
  }
  const token = new SharedToken(sign, Date.now)
  return async () => {
    try {
      return await token.get()
    } catch (cause) {
      throw cause instanceof WritePinningError ? cause : noToken(config, cause)
    }
  }
}

async function openSigner(config: SignerConfig): Promise<Signer> {
  const aws = await importPeer(
    'write-pinning/aws',
    '@aws-sdk/rds-signer',
    () => import('@aws-sdk/rds-signer'),
  )
  return new aws.Signer(config)
}

const WHERE = 'rdsIamPassword'
const KNOWN = ['hostname', 'port', 'username', 'region', 'credentials', 'profile'] as const
const HOSTNAME = /^[a-z0-9_][\w.-]*$/i
const A_KEY = '`{ accessKeyId, secretAccessKey }`, or a function'
const PORT = { min: 1, max: 65_535, isWhole: true, expected: 'a number from 1 to 65535' }

function signerConfig(given: unknown): SignerConfig {
  const read = new OptionReader<RdsIamPasswordOptions>(WHERE, given, KNOWN)
  // From here on, these three are set.
  for (const name of ['hostname', 'username', 'region'] as const) refuseUnset(name, read.given[name])
  const hostname = read.text('hostname', '', HOSTNAME, "the endpoint's name alone, without a port")
  const port = read.number('port', undefined, PORT)
  if (port === undefined) throw read.wrong('port', PORT.expected)
  const username = read.text('username', '', /\S/, "a role's name")
  const region = read.text('region', '', /^[a-z0-9-]+$/, "a region, such as 'eu-west-1'", choiceError)
  const credentials = read.value('credentials', undefined, areCredentials, A_KEY)
  const profile = read.text('profile', undefined, /\S/, "a profile's name")
  return {
    ...{ hostname, port, username, region },
    ...(credentials !== undefined && { credentials }),
    ...(profile !== undefined && { profile }),
  }
}

function refuseUnset(name: string, value: unknown): void {
  if (value !== undefined && value !== '') return
  const kind = value === '' ? 'an empty string' : 'undefined'
  throw wrongOption(`${WHERE}: \`${name}\` is ${kind}. Is the environment variable set?`)
}

function areCredentials(value: unknown): value is NonNullable<SignerConfig['credentials']> {
  if (typeof value === 'function') return true
  if (typeof value !== 'object' || value === null) return false
  const { accessKeyId, secretAccessKey } = value as Record<string, unknown>
  return [accessKeyId, secretAccessKey].every((each) => typeof each === 'string' && each.trim() !== '')
}

function noToken({ hostname, port, username }: SignerConfig, cause: unknown): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_CREDENTIALS',
    `${WHERE}: no token could be signed for '${username}' at ${hostname}:${port}; its \`cause\` says why. ` +
      'See that this process finds AWS credentials.',
    { cause },
  )
}
