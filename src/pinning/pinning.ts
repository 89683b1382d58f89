import type { IncomingHttpHeaders } from 'node:http'
import { isDeepStrictEqual } from 'node:util'
import {
  type IgnoredPinReason,
  ignoredPinChannel,
  lateWriteChannel,
  type PinReason,
  pinChannel,
} from '../diagnostics.ts'
import { type MemorySettings, PLAIN, type WriteKind } from '../freshness/memory.ts'
import { mergePins } from '../freshness/merge-pins.ts'
import type { Pin } from '../freshness/pin.ts'
import { AccountStore } from './account-store.ts'
import type { BegunBy, BegunPin } from './begun-pin.ts'
import { type CarriedPin, doubtUntil, NOTHING, pinOfCookies, pinOfHeader } from './carried-pin.ts'
import { refuseUnwritableCookie } from './cookie-options.ts'
import type { Framework, Incoming } from './framework.ts'
import { keepContext } from './keep-context.ts'
import { isTrueFor, textFrom } from './option-function.ts'
import type { PinningSettings } from './options.ts'
import { type AskAccount, RequestAccount } from './request-account.ts'
import { RequestPin } from './request-pin.ts'
import { type Brought, type LeavingRequest, NOTHING_BROUGHT, type RequestOwner } from './request-start.ts'
import { ResponsePins } from './response-pins.ts'
import { policyOf, readFromOf } from './route-marks.ts'
import { signingKeys } from './signer.ts'
import { pinCodec, type TokenSettings } from './token.ts'
import {
  failureText,
  type Log,
  MADE_TWICE_TEXT,
  NO_ANSWER_TEXTS,
  PIN_IN_DOUBT_TEXT,
  tell,
  warnOnce,
} from './warnings.ts'

/** What a plugin or middleware has done since the start. The numbers only grow. */
export interface PinCounts {
  /** How many responses carried a pin. */
  set: number
  /** How many requests brought a valid pin. */
  honoured: number
  /** How many writes came after the headers of their response had left, so that no pin could carry them. */
  late: number
  /** How many pins had no effect, or less than they claim, by reason. */
  readonly ignored: Record<IgnoredPinReason, number>
  /**
   * How often the pin store failed a request, or did not answer it within 250 ms. A pin that the store did not take
   * is tried again.
   */
  storeFailures: number
  /** How many pins of accounts the pin store never took: they were over, too many waited, or the application closed. */
  storeLosses: number
}

/**
 * The request side of one plugin or middleware. It reads the pin of each request, and sets the pin of each response.
 * Others see it through small interfaces: its requests as {@link RequestOwner}, another edge as {@link BegunBy}, and
 * the memory of a request (`PinCodec`) as the part that reads and writes tokens.
 */
export class Pinning<Request> {
  readonly counts: PinCounts = {
    set: 0,
    honoured: 0,
    late: 0,
    ignored: { malformed: 0, expired: 0, 'too-far-ahead': 0, 'bad-signature': 0 },
    storeFailures: 0,
    storeLosses: 0,
  }
  readonly #settings: PinningSettings<Request>
  readonly #framework: Framework<Request>
  readonly #tokens: TokenSettings
  readonly #responses: ResponsePins<Request>
  readonly #memory: MemorySettings
  readonly #memoryOfSkipped: MemorySettings
  readonly #store: AccountStore | undefined
  readonly #owner: RequestOwner = {
    setPin: (leaving, reason, pin) => this.#setPin(leaving as LeavingRequest<Request>, reason, pin),
    joinPins: (leaving, brought) => this.#responses.join(leaving as LeavingRequest<Request>, brought),
    lateWrites: (leaving) => this.#lateWrites(leaving as LeavingRequest<Request>),
    failed: ({ request }, error) => this.#say(this.#framework.logOf(request as Request), failureText(error)),
    routeOf: (request) => this.#framework.routeOf(request as Request),
    policyOf: (method, marks) => policyOf(this.#settings, method, marks),
    readFromOf,
    hasSettings: (settings) => isDeepStrictEqual(settings, this.#settings),
  }
  /** The other plugins and middlewares whose options were already compared with these. */
  readonly #met = new WeakSet<BegunBy>()
  /** The messages of warnings that were already given. */
  readonly #saidOnce = new Set<unknown>()
  /**
   * The routes that already had a warning. Requests without a route count as one route, because a client chooses
   * their names.
   */
  readonly #lateRoutes = new Set<unknown>()

  /** @throws {WritePinningError} if the framework's library cannot write the cookie. */
  constructor(settings: PinningSettings<Request>, framework: Framework<Request>) {
    const { cookie, secrets, pinningSeconds, accounts } = settings
    refuseUnwritableCookie('writePinning', cookie, framework.serializeCookie)
    this.#settings = settings
    this.#framework = framework
    this.#tokens = { cookieName: cookie.name, keys: signingKeys(secrets), pinningSeconds }
    this.#responses = new ResponsePins(settings, framework, this.#tokens)
    this.#store = accounts && new AccountStore(accounts.store, this.counts, framework.log)
    const codec = pinCodec(this.#tokens, this.#store)
    this.#memoryOfSkipped = { ...PLAIN, codec }
    this.#memory = { wantsPositions: settings.pin === 'exact', wantsSeen: settings.monotonicReads, codec }
  }

  /**
   * Begins a request: reads its pin, decides whether it is a write, and opens its context. The request's listeners
   * run in that context.
   */
  begin(request: Request, { method, message, response, marks, hasRoute }: Incoming): BegunPin {
    const { skip, affinity, readMethods, pinningSeconds } = this.#settings
    const isSkipped = skip !== undefined && isTrueFor(skip, request, this.#reportOf('skip', request))
    const pin = new RequestPin(
      {
        marks,
        policy: policyOf(this.#settings, method, marks),
        pinningMs: pinningSeconds * 1000,
        brought: isSkipped ? NOTHING_BROUGHT : this.#broughtBy(request, message.headers),
        readFrom: readFromOf(marks),
        mayPin: !isSkipped,
        mayHaveBody: !readMethods.has(method),
        request,
        hasRoute,
        response,
        affinityKey: affinity && askedUntilKnown(() => this.#ask('affinity', affinity, request)),
        memory: isSkipped ? this.#memoryOfSkipped : this.#memory,
        account: isSkipped ? undefined : this.#accountOf(request),
      },
      this.#owner,
    )
    keepContext(message, response, pin)
    return pin
  }

  /** The application closes: tries the waiting pins of accounts once more, for 250 ms at most. */
  async close(): Promise<void> {
    await this.#store?.close()
  }

  /** Gives a function that asks the option `account` for a request; undefined if accounts are not pinned. */
  accountOf(request: Request): AskAccount | undefined {
    const { accounts } = this.#settings
    return accounts && ((isKnown) => this.#ask('account', accounts.accountOf, request, isKnown))
  }

  /**
   * Continues a request that another edge began. The options of the other edge count. Warns once if the own options
   * differ.
   */
  takeOver({ begunBy }: BegunPin, request: Request): void {
    if (begunBy === this.#owner || this.#met.has(begunBy)) return
    this.#met.add(begunBy)
    if (!begunBy.hasSettings(this.#settings)) {
      this.#say(this.#framework.logOf(request), MADE_TWICE_TEXT, 'WRITE_PINNING_MADE_TWICE')
    }
  }

  #broughtBy(request: Request, headers: IncomingHttpHeaders): Brought {
    const { header, badSignature } = this.#settings
    const ofCookies = this.#noted(request, 'cookie', pinOfCookies(headers.cookie, this.#tokens))
    const ofHeader =
      header === undefined
        ? NOTHING
        : this.#noted(request, 'header', pinOfHeader(headers[header], this.#tokens))
    const pin = mergePins(ofCookies.pin, ofHeader.pin)
    if (pin !== undefined) this.counts.honoured++
    return {
      pin,
      by: ofCookies.pin === undefined ? 'header' : 'cookie',
      tooLongLived: mergePins(ofCookies.tooLongLived, ofHeader.tooLongLived),
      doubtUntilMs: Math.max(doubtUntil(ofCookies, badSignature), doubtUntil(ofHeader, badSignature)),
    }
  }

  #noted(request: Request, by: 'cookie' | 'header', carried: CarriedPin): CarriedPin {
    for (const reason of carried.ignored) this.#ignore(request, by, reason)
    return carried
  }

  #ignore(request: Request, by: 'cookie' | 'header', reason: IgnoredPinReason): void {
    this.counts.ignored[reason]++
    tell(() => this.#framework.logOf(request).debug(`Ignored a pinning ${by}: ${reason}`))
    if (ignoredPinChannel.hasSubscribers) ignoredPinChannel.publish({ reason })
    if (reason === 'bad-signature' && this.#settings.badSignature === 'primary') {
      this.#say(this.#framework.logOf(request), PIN_IN_DOUBT_TEXT)
    }
  }

  #accountOf(request: Request): RequestAccount | undefined {
    const ask = this.accountOf(request)
    return ask && this.#store && new RequestAccount(this.#store, ask)
  }

  #ask(
    option: 'account' | 'affinity',
    ask: (request: Request) => string | undefined,
    request: Request,
    isKnown = false,
  ): string | undefined {
    const report = isKnown ? () => {} : this.#reportOf(option, request, NO_ANSWER_TEXTS[option])
    return textFrom(ask, request, report)
  }

  #reportOf(option: string, request: Request, consequence = ''): (what: string) => void {
    return (what) =>
      this.#say(this.#framework.logOf(request), `The option \`${option}\` ${what}${consequence}.`)
  }

  #setPin(leaving: LeavingRequest<Request>, reason: PinReason, own: Pin): Pin {
    const pin = this.#responses.set(leaving, own, reason === 'read')
    this.counts.set++
    if (pinChannel.hasSubscribers)
      pinChannel.publish({ reason, kind: kindOf(pin), until: new Date(pin.untilMs) })
    return pin
  }

  #say(log: Log, message: string, code?: string): void {
    warnOnce(this.#saidOnce, message, log, message, code)
  }

  #lateWrites({ request, routeName }: LeavingRequest<Request>): (kind: WriteKind) => void {
    const { key, name } = routeName
    const log = this.#framework.logOf(request)
    return (reason) => {
      this.counts.late++
      if (lateWriteChannel.hasSubscribers) lateWriteChannel.publish({ route: name, reason })
      warnOnce(
        this.#lateRoutes,
        key,
        log,
        `${name} wrote after the headers of its response had left, so that no pin could be set for that write: ` +
          'await what writes before you answer.',
      )
    }
  }
}

function askedUntilKnown(ask: () => string | undefined): () => string | undefined {
  let known: string | undefined
  return () => {
    known ??= ask()
    return known
  }
}

/**
 * The kind of a pin by its effect: an exact pin without any position sends reads to the primary, as a time pin does.
 */
function kindOf(pin: Pin): Pin['kind'] {
  if (pin.kind === 'time') return 'time'
  return [...pin.clusters.values()].some(({ exact }) => exact !== undefined) ? 'exact' : 'time'
}
