/**
 * What a function of the application's says of a request: a text, or undefined. It is asked in the middle of other work
 * (a query, a response), which must not fail because of it: an error, or anything else that it gives, counts as undefined.
 */
export function answerOf<Request>(
  ask: (request: Request) => string | undefined,
  request: Request,
  report: (what: string) => void,
): string | undefined {
  let answer: unknown
  try {
    answer = ask(request)
  } catch {
    report('threw an error')
    return undefined
  }
  if (answer === undefined || answer === null || answer === '') return undefined
  if (typeof answer === 'string') return answer
  report(`gave ${nonsense(answer)}, which is no string`)
  return undefined
}

/** The same for yes or no. An error is the request's, as that of a hook is; anything else counts as no. */
export function isYes<Request>(
  ask: (request: Request) => boolean,
  request: Request,
  report: (what: string) => void,
): boolean {
  const answer: unknown = ask(request)
  if (typeof answer === 'boolean') return answer
  if (answer !== undefined && answer !== null)
    report(`gave ${nonsense(answer)}, which is neither true nor false`)
  return false
}

function nonsense(answer: unknown): string {
  if (!(answer instanceof Promise)) return `a value of type ${typeof answer}`
  // Nobody waits for it, and it must not bring the process down.
  answer.catch(() => {})
  return 'a promise'
}
