import type { Signer, SignerConfig } from '@aws-sdk/rds-signer'
import { WritePinningError } from '../errors.ts'
import { importPeer } from '../import-peer.ts'
import { choiceError, optionError, optionsObject, refuseUnknownOptions } from '../options.ts'
import { SharedToken } from './shared-token.ts'

/**
 * What the tokens are for; every token is bound to all of it. Undefined is there for `process.env.…`, and refused when
 * the function is made.
 */
export interface RdsIamPasswordOptions {
  /** The endpoint's own name, and no alias of it: the token is signed for this name. */
  hostname: string | undefined
  port: number
  /** A role that has been granted `rds_iam`. */
  username: string | undefined
  region: string | undefined
  /** The AWS credentials, or what gives them. Default: the usual chain (environment, profile, container, instance). */
  credentials?: SignerConfig['credentials'] | undefined
  /** A profile of the AWS configuration, for the usual chain. Default: `AWS_PROFILE`, else `default`. */
  profile?: string | undefined
}

/**
 * Gives a function for `pg`'s option `password` that logs in to RDS or Aurora with IAM: one token serves all connections
 * for some minutes, and a new one is signed in time. A server takes such a token over TLS only.
 *
 * The function rejects with `ERR_WRITE_PINNING_CREDENTIALS` where there is no valid token and none can be signed, and with
 * `ERR_WRITE_PINNING_MISSING_PACKAGE` where `@aws-sdk/rds-signer` is not installed.
 *
 * @throws {WritePinningError} for every option that is wrong or unknown.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 * @example
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
const KNOWN = ['hostname', 'port', 'username', 'region', 'credentials', 'profile']
const MAX_PORT = 65_535
const HOSTNAME = /^[a-z0-9_][\w.-]*$/i
const REGION = /^[a-z0-9-]+$/

function signerConfig(given: unknown): SignerConfig {
  const options = optionsObject(WHERE, given) as RdsIamPasswordOptions
  refuseUnknownOptions(WHERE, options, KNOWN)
  const { hostname, port, username, region, credentials, profile } = options
  for (const [name, value] of Object.entries({ hostname, username, region })) refuseUnset(name, value)
  if (!isText(hostname) || !HOSTNAME.test(hostname))
    throw optionError(WHERE, 'hostname', hostname, "the endpoint's name alone, without a port")
  if (!Number.isInteger(port) || port < 1 || port > MAX_PORT)
    throw choiceError(WHERE, 'port', port, `a number from 1 to ${MAX_PORT}`)
  if (!isText(username)) throw optionError(WHERE, 'username', username, "a role's name")
  if (!isText(region) || !REGION.test(region))
    throw choiceError(WHERE, 'region', region, "a region, such as 'eu-west-1'")
  if (credentials !== undefined && !areCredentials(credentials))
    throw optionError(WHERE, 'credentials', credentials, '`{ accessKeyId, secretAccessKey }`, or a function')
  if (profile !== undefined && !isText(profile))
    throw optionError(WHERE, 'profile', profile, "a profile's name")
  return {
    ...{ hostname, port, username, region },
    ...(credentials !== undefined && { credentials }),
    ...(profile !== undefined && { profile }),
  }
}

function refuseUnset(name: string, value: unknown): void {
  if (value !== undefined && value !== '') return
  const kind = value === '' ? 'an empty string' : 'undefined'
  throw new WritePinningError(
    'ERR_WRITE_PINNING_OPTION',
    `${WHERE}: \`${name}\` is ${kind}. Is the environment variable set?`,
  )
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== ''
}

function areCredentials(value: unknown): boolean {
  if (typeof value === 'function') return true
  if (typeof value !== 'object' || value === null) return false
  const { accessKeyId, secretAccessKey } = value as Record<string, unknown>
  return isText(accessKeyId) && isText(secretAccessKey)
}

function noToken({ hostname, port, username }: SignerConfig, cause: unknown): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_CREDENTIALS',
    `${WHERE}: no token could be signed for '${username}' at ${hostname}:${port}; its \`cause\` says why. ` +
      'See that this process finds AWS credentials.',
    { cause },
  )
}
