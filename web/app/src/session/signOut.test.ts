import { beforeEach, expect, test, vi } from 'vitest'
import { Refusal, Unreachable } from '../api/problem'
import { beforeSignOut, leave } from './signOut'

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
