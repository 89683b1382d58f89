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
  if (answer instanceof Promise) answer.catch(() => {})
  report(
    `gave ${answer instanceof Promise ? 'a promise' : `a value of type ${typeof answer}`}, which is no string`,
  )
  return undefined
}
