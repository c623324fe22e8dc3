import type { components } from './schema'

export type Problem = components['schemas']['Problem']

/** The server understood the call and said no. `code` is stable; `message` is a sentence to act on. */
export class Refusal extends Error {
  override name = 'Refusal'
  readonly code: string
  readonly status: number
  readonly instance: string

  constructor(problem: Problem) {
    super(problem.detail)
    this.code = problem.code
    this.status = problem.status
    this.instance = problem.instance ?? ''
  }
}

/** No answer came, or one that is not the server's: it is not known whether the call was done. */
export class Unreachable extends Error {
  override name = 'Unreachable'

  constructor() {
    super('The server cannot be reached. Check your connection; what you typed is still here.')
  }
}

/** codeOf is the stable code of a refusal, empty for everything else. */
export function codeOf(error: unknown): string {
  return error instanceof Refusal ? error.code : ''
}

/** sentence is what a person reads of an error. It starts with a capital and ends with a full stop. */
export function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message : 'Something went wrong.'
  const first = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(first) ? first : `${first}.`
}
