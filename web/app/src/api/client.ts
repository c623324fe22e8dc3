// The one way to the server. Types come from the OpenAPI text; every error is a Refusal or Unreachable.
import createClient, { type Middleware } from 'openapi-fetch'
import { expired, forWhom } from '../session/state'
import { type Problem, Refusal, Unreachable } from './problem'
import type { components, paths } from './schema'

export type Schema = components['schemas']

export const prefix = '/api/v1'

/** How often a command is sent again when no answer came, with its key, so that it happens once. */
const tries = 3

/** The position of the newest outcome that was answered: no list may be older. */
let newest = 0

const headers: Middleware = {
  onRequest({ request }) {
    const person = forWhom()
    if (person) request.headers.set('Sb-Person', person)
    if (request.method === 'GET') {
      if (newest > 0) request.headers.set('Sb-Not-Older-Than', String(newest))
      return request
    }
    request.headers.set('Sb-Requested-With', 'app')
    if (!request.headers.has('Idempotency-Key')) request.headers.set('Idempotency-Key', newKey())
    return request
  },
  async onResponse({ response, schemaPath }) {
    const at = Number(response.headers.get('Sb-Sequence') ?? 0)
    if (at > newest) newest = at
    if (response.status === 401 && schemaPath !== '/sessions' && !(await asksProof(response))) expired()
    return response
  },
}

/** asksProof reports whether a 401 asks for more proof within a session that still counts (RFC 9470). */
async function asksProof(response: Response): Promise<boolean> {
  const said: unknown = await response
    .clone()
    .json()
    .catch(() => undefined)
  return isProblem(said) && ['step_up_required', 'sign_in_stale'].includes(said.code)
}

/** newKey makes an Idempotency-Key. A form keeps one for as long as its content stays the same. */
export function newKey(): string {
  return crypto.randomUUID()
}

/** steady sends a command again when the connection broke under it. */
async function steady(request: Request): Promise<Response> {
  const most = request.method === 'POST' && !request.url.endsWith('/reveal') ? tries : 1
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetch(request.clone())
    } catch (error) {
      if (request.signal.aborted) throw error
      if (attempt >= most) throw new Unreachable()
      await new Promise((done) => setTimeout(done, 250 * 2 ** attempt))
    }
  }
}

export const api = createClient<paths>({ baseUrl: prefix, credentials: 'same-origin', fetch: steady })
api.use(headers)

/** answer is what a call answered, or throws why there is nothing. */
export async function answer<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call
  if (response.ok) return data as T
  if (isProblem(error)) throw new Refusal(error)
  throw new Unreachable()
}

function isProblem(error: unknown): error is Problem {
  return typeof error === 'object' && error !== null && 'code' in error && 'detail' in error
}
