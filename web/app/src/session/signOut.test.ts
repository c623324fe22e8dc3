import { beforeEach, expect, test, vi } from 'vitest'
import { Refusal, Unreachable } from '../api/problem'
import { beforeSignOut, leave, signOut } from './signOut'

const went = vi.fn()
const order: string[] = []

beforeSignOut(async () => {
  order.push('sent what waited')
})

beforeEach(() => {
  order.length = 0
  went.mockClear()
  vi.spyOn(window.location, 'assign').mockImplementation(went)
})

const end = (error?: Error) => async () => {
  order.push('ended')
  if (error) throw error
  return undefined
}

test('what waits is sent while there is a session, and then the page goes', async () => {
  await leave(end())
  expect(order).toEqual(['sent what waited', 'ended'])
  expect(went).toHaveBeenCalledWith('/sign-in')
})

test('nobody is led to the sign-in while they are signed in', async () => {
  const down = new Refusal({
    type: 'about:blank#unavailable',
    title: 'No',
    status: 503,
    detail: 'no',
    code: 'unavailable',
  })
  for (const error of [new Unreachable(), down]) await expect(leave(end(error))).rejects.toBe(error)
  expect(went).not.toHaveBeenCalled()
  await leave(
    end(new Refusal({ ...down, type: '', title: '', detail: 'ended', code: 'session_expired', status: 401 } as never)),
  )
  expect(went).toHaveBeenCalledOnce()
})

test('who came by the identity provider is signed out there as well, and nobody is led elsewhere', async () => {
  const hint = 'https://login.example.org/end?client_id=a&id_token_hint=b'
  for (const [sso, url, to] of [
    [true, hint, hint],
    [true, 'https://login.example.org/end?client_id=a', '/sign-in'],
    [true, 'javascript:alert(1)//?id_token_hint=b', '/sign-in'],
    [true, undefined, '/sign-in'],
    [false, undefined, '/sign-in'],
  ] as const) {
    const calls: string[] = []
    vi.stubGlobal('fetch', async (request: Request) => {
      calls.push(`${request.method} ${new URL(request.url).pathname}`)
      if (request.url.endsWith('/methods')) return Response.json({ password: true, ...(sso && { sso: {} }) })
      return request.method === 'DELETE' ? new Response(null, { status: 204 }) : Response.json({ end_session_url: url })
    })
    await signOut()
    expect(went).toHaveBeenLastCalledWith(to)
    expect(calls.at(-1)).toBe(sso ? 'POST /api/v1/auth/oidc/logout' : 'DELETE /api/v1/sessions/current')
  }
})
