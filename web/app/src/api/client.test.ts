import { beforeEach, expect, test, vi } from 'vitest'
import { entered, isFor, sessionState } from '../session/state'
import { answer, api } from './client'

const calls: Request[] = []

beforeEach(() => {
  calls.length = 0
})

/** answers stubs the server. */
function answers(status: number, body: unknown) {
  vi.stubGlobal('fetch', async (request: Request) => {
    calls.push(request)
    return Response.json(body, { status })
  })
}

test('a page says whom it is for, and stays for them whatever the server says later', async () => {
  answers(200, {})
  await answer(api.GET('/me'))
  isFor('u_ana')
  isFor('u_bob')
  await answer(api.GET('/me'))
  await answer(api.POST('/me/sessions/revoke-all', { params: { header: { 'Idempotency-Key': 'k' } } }))
  entered('u_eve')
  await answer(api.GET('/me'))
  expect(calls.map(({ headers }) => headers.get('Sb-Person'))).toEqual([null, 'u_ana', 'u_ana', 'u_eve'])
})

test('when the session is another one, the page asks to sign in again', async () => {
  entered('u_ana')
  answers(401, { code: 'session_expired', detail: 'somebody else signed in', status: 401 })
  await expect(answer(api.GET('/requests'))).rejects.toThrow('somebody else')
  expect(sessionState.get()).toBe('expired')
})
