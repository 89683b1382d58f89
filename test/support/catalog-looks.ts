import { type Mock, vi } from 'vitest'

/** The shortest and the longest pause between two looks at the catalog, in ms. */
const REGULARLY = [45_000, 60_000] as const

type SetTimeout = (run: () => void, ms?: number) => NodeJS.Timeout

/** The looks at the catalog that databases have planned since this watches the timers. */
export class CatalogLooks implements Disposable {
  readonly #timers: Mock<SetTimeout> = vi.spyOn(globalThis, 'setTimeout') as unknown as Mock<SetTimeout>

  /** The timers of the planned looks. */
  get planned(): readonly NodeJS.Timeout[] {
    return this.#indexes.map((at) => this.#timers.mock.results[at]?.value as NodeJS.Timeout)
  }

  /** Makes the look due that was planned last, once there is one. */
  async makeDue(): Promise<void> {
    const at = await vi.waitFor(() => {
      const last = this.#indexes.at(-1)
      if (last === undefined) throw new Error('Nobody will look.')
      return last
    }, 20_000)
    const [run] = this.#timers.mock.calls[at] ?? []
    run?.()
  }

  get #indexes(): number[] {
    return this.#timers.mock.calls.flatMap(([, ms = 0], at) =>
      ms > REGULARLY[0] && ms <= REGULARLY[1] ? [at] : [],
    )
  }

  [Symbol.dispose](): void {
    this.#timers.mockRestore()
  }
}
