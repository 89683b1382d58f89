import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { ROUTE_CHANNEL, type RouteEvent } from 'write-pinning'

/** Runs `fn`, and gives the route of every statement that was sent meanwhile, in order. */
export async function routesOf(fn: () => unknown): Promise<RouteEvent[]> {
  const routes: RouteEvent[] = []
  const onRoute = (message: unknown) => routes.push(message as RouteEvent)
  subscribe(ROUTE_CHANNEL, onRoute)
  try {
    await fn()
  } finally {
    unsubscribe(ROUTE_CHANNEL, onRoute)
  }
  return routes
}

/** The role and the reason of each statement that `fn` sent, as `'replica: read'`. */
export async function whereAndWhy(fn: () => unknown): Promise<string[]> {
  return (await routesOf(fn)).map(({ role, reason }) => `${role}: ${reason}`)
}
