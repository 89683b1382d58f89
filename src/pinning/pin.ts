/** What a user agent carries after a write: until when its reads must be fresh. */
export interface Pin {
  readonly kind: 'time'
  /** In ms since the epoch, by the clock of the server that set it. */
  readonly untilMs: number
}

/** The pin of a write that happened now. */
export function pinFromNow(pinningSeconds: number): Pin {
  return { kind: 'time', untilMs: Date.now() + pinningSeconds * 1000 }
}
