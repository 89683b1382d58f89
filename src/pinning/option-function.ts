/**
 * Asks a function of the application for a text or undefined. It is called in the middle of a query or a response,
 * and that must not fail because of it. So an error, or an answer of another type, counts as undefined and is
 * reported.
 */
export function textFrom<Request>(
  ask: (request: Request) => string | undefined,
  request: Request,
  report: (what: string) => void,
): string | undefined {
  let answer: unknown
  try {
    answer = ask(request)
  } catch (error) {
    report(`threw ${shownError(error)}`)
    return undefined
  }
  if (answer === undefined || answer === null || answer === '') return undefined
  if (typeof answer === 'string') return answer
  report(`gave ${nonsense(answer)}, which is no string`)
  return undefined
}

/**
 * Asks a function of the application for true or false. An answer of another type counts as false and is reported. An
 * error fails the request, as an error of a hook does.
 */
export function isTrueFor<Request>(
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
  // Nobody awaits this promise. It must not end the process if it rejects.
  answer.catch(() => {})
  return 'a promise'
}

/**
 * An error as a log may show it: its name, and its message if that is JavaScript's own, about the code. Any other
 * message may quote what a user sent.
 */
function shownError(error: unknown): string {
  if (!(error instanceof Error)) return 'something that is no error'
  const { name, message } = error
  if (!ERROR_NAME.test(name)) return 'an error'
  const isOfCode = OF_LANGUAGE.has(name) && OF_CODE.some((each) => each.test(message))
  return isOfCode ? `${name}: ${message}` : name
}

const OF_LANGUAGE = new Set(['TypeError', 'ReferenceError'])
const ERROR_NAME = /^[A-Za-z]\w{0,39}$/
// The messages of V8. Every name that they quote is an identifier of the code.
const OF_CODE = [
  /^Cannot read properties of (?:undefined|null)(?: \(reading '[A-Za-z_$][\w$]{0,39}'\))?$/,
  /^Cannot destructure property '[A-Za-z_$][\w$]{0,39}' of '[\w$.]{1,80}' as it is (?:undefined|null)\.$/,
  /^[A-Za-z_$][\w$.]{0,80}(?:\(\.\.\.\))? is not (?:a function|defined|iterable|a constructor)$/,
]
