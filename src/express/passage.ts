import type { ServerResponse } from 'node:http'
import { warn } from '../diagnostics.ts'
import {
  type BegunBy,
  type BegunPin,
  begunPinOf,
  isInContext,
  joinPin,
  mergeMarks,
  NO_ROUTE,
  type Pinning,
  type RouteMarks,
  type RouteName,
} from '../pinning/index.ts'
import {
  baseUrlOf,
  isRoute,
  type Layer,
  layersOf,
  type MatchedRoute,
  marksOf,
  marksOfLayers,
  patternOf,
  type MiddlewareRequest as Request,
  withoutValues,
} from './request.ts'

/**
 * The way of one request through Express's routers. They find its route only on the way, and may find another one
 * later. Express sets `request.route` right before the handlers of a route run. A setter for it takes the route's
 * marks before any handler reads from the database.
 */
export class Passage {
  readonly pin: BegunPin
  readonly #request: Request
  /** The marks that an earlier edge found, such as those of a Fastify application's route. */
  readonly #before: RouteMarks | undefined
  #route: MatchedRoute | undefined
  #layers: readonly Layer[] = []
  #baseUrl = ''
  /** The marks in `use()` that the request has passed. */
  readonly #passed: RouteMarks[] = []

  constructor(request: Request, pin: BegunPin) {
    this.#request = request
    this.pin = pin
    this.#before = pin.marks
  }

  get route(): MatchedRoute | undefined {
    return this.#route
  }

  /** Takes the route that was found. Express sets it twice: the router does, and then the route itself. */
  enter(route: MatchedRoute | undefined): void {
    if (route === this.#route) return
    this.#route = route
    this.#layers = isRoute(route) ? layersOf(route, this.#request.method) : []
    this.#baseUrl = baseUrlOf(this.#request)
    this.#decide()
    if (isRoute(route)) this.#checkContext()
  }

  /**
   * Takes the marks of a handler of `markRoute()` that runs now. If it is one of the route's own handlers, its marks
   * are already known.
   */
  passMarks(marking: object): void {
    const marks = marksOf(marking)
    if (marks === undefined || this.#layers.some(({ handle }) => handle === marking)) return
    this.#passed.push(marks)
    this.#decide()
  }

  /** The route as warnings name it, without the values of parameters. */
  get routeName(): RouteName {
    const { app, method } = this.#request as { app?: unknown; method: string }
    if (isRoute(this.#route)) {
      return {
        key: this.#layers[0] ?? this.#route,
        name: `${method} ${withoutValues(this.#baseUrl)}${patternOf(this.#route)}`,
      }
    }
    // Connect, Koa and others have no routes.
    if (app === undefined) return { key: method, name: `A request by ${method}` }
    // Outside every router, and so after the last one too, Express has no base URL.
    const mounted = withoutValues(baseUrlOf(this.#request))
    return {
      key: undefined,
      name: mounted === '' ? NO_ROUTE : `${method} ${mounted}`,
    }
  }

  /**
   * Warns of a lost context. It cannot be entered again here, in the middle of the router's work, but the warning
   * names the fault.
   */
  #checkContext(): void {
    const { begunBy } = this.pin
    if (isInContext(this.pin) || toldOfLostContext.has(begunBy)) return
    if (this.#layers.some(({ handle }) => marksOf(handle) !== undefined)) return
    toldOfLostContext.add(begunBy)
    warn(
      'WRITE_PINNING_CONTEXT_LOST',
      `${this.routeName.name} was reached outside the context of its request, so its reads go to the primary and what it ` +
        'writes pins nobody: a middleware before it goes on in the callback of a shared client. Use the middleware that ' +
        'writePinning() made once more behind that one.',
    )
  }

  #decide(): void {
    const marks = mergeMarks([this.#before, ...this.#passed, marksOfLayers(this.#layers)])
    this.pin.remark(this.#request.method, marks)
  }
}

const toldOfLostContext = new WeakSet<BegunBy>()

/** Begins the passage of a request, and keeps it on the request. */
export function startPassage(request: Request, pin: BegunPin): Passage {
  const passage = new Passage(request, pin)
  const route: MatchedRoute | undefined = request.route
  ;(request as WithPassage)[PASSAGE] = passage
  Object.defineProperties(request, properties)
  // The middleware may stand inside a route, which was set before.
  if (isRoute(route)) passage.enter(route)
  return passage
}

/** The passage of a request. If another edge began its pin, the passage begins here. Undefined if no edge did. */
export function findPassage(
  request: Request,
  response: ServerResponse,
  pinning?: Pinning<Request>,
): Passage | undefined {
  const passage = passageOf(request)
  if (passage !== undefined) return passage
  const begun = begunPinOf(request, response)
  if (begun === undefined) return undefined
  const joining = startPassage(request, begun)
  joinPin(begun, response, {
    hasRoute: () => hasRoute(request),
    routeName: () => joining.routeName,
    account: pinning?.accountOf(request),
  })
  return joining
}

/** Whether the routers have found a route for a request so far. */
export function hasRoute({ route }: Request): boolean {
  return isRoute(route)
}

/** The passage of a request; undefined if it has not come through the middleware. */
export function passageOf(request: Request): Passage | undefined {
  return (request as WithPassage)[PASSAGE]
}

// Shared: two copies of this package see each other's passages.
const PASSAGE = Symbol.for('write-pinning.passage.v1')
type WithPassage = Request & { [PASSAGE]?: Passage }

// All requests get the same functions, so that they keep one shape.
const properties: PropertyDescriptorMap & ThisType<Required<WithPassage>> = {
  writePin: {
    get() {
      return this[PASSAGE].pin.writePin
    },
    configurable: true,
    enumerable: true,
  },
  route: {
    get() {
      return this[PASSAGE].route
    },
    set(found: MatchedRoute | undefined) {
      this[PASSAGE].enter(found)
    },
    configurable: true,
    enumerable: true,
  },
}
