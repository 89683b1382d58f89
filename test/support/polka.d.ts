// Polka has no types. These cover what the tests use of it.
declare module 'polka' {
  import type { RequestListener } from 'node:http'

  type Handler = (
    request: import('node:http').IncomingMessage,
    response: import('node:http').ServerResponse,
    next: () => void,
  ) => void
  interface Polka {
    use(...handlers: Handler[]): Polka
    readonly handler: RequestListener
  }
  export default function polka(): Polka
}
