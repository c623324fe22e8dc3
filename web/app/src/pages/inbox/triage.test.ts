import { expect, test } from 'vitest'
import type { Request } from '../../api/requests'
import { patch, request } from '../../parts/request/examples'
import { afterwards, beside, kindOf, parts, whyNotTogether } from './triage'

const yes = { allowed: true }
const may = (id: string, ...verbs: (keyof Request['actions'])[]): Request => {
  const one = request({ id })
  return { ...one, actions: { ...one.actions, ...Object.fromEntries(verbs.map((verb) => [verb, yes])) } }
}
const decide = (id: string, change: Partial<Request> = {}): Request => ({ ...may(id, 'approve', 'reject'), ...change })
const ids = (requests: readonly Request[]) => requests.map(({ id }) => id)
const none = new Set<string>()

test('what waits is parted by what is to be done, and nothing is there twice', () => {
  const all = [may('r', 'reveal'), decide('a'), may('v', 'provide'), may('g', 'review'), decide('b'), decide('a')]
  expect(parts(all, '', none).map(({ kind, requests }) => [kind, ...ids(requests)])).toEqual([
    ['decide', 'a', 'b'],
    ['values', 'v'],
    ['review', 'g'],
    ['ready', 'r'],
  ])
  expect(kindOf(request({ state: 'executed' }))).toBeUndefined()
})

test('a filter takes requests that have all its words, wherever', () => {
  const all = [decide('a', { place: { project: 'shop' } }), decide('b', { reason: 'rotate' })]
  expect(ids(parts(all, 'SHOP backup', none)[0]?.requests ?? [])).toEqual(['a'])
  expect(parts(all, 'shop rotate', none)).toEqual([])
})

test('what is on its way is not shown, and what comes next has its place', () => {
  const shown = [decide('a'), decide('b'), decide('c')]
  expect(ids(parts(shown, '', new Set(['b']))[0]?.requests ?? [])).toEqual(['a', 'c'])
  expect(afterwards(shown, 'b', new Set(['b']))?.id).toBe('c')
  expect(afterwards(shown, 'a', new Set(['a', 'b']))?.id).toBe('c')
  expect(afterwards(shown, 'c', new Set(['c']))?.id).toBe('b')
  expect(afterwards(shown, 'a', new Set(['a', 'b', 'c']))).toBeUndefined()
})

test('one moves within the list, also from what somebody else took out of it', () => {
  const shown = [decide('a'), decide('c')]
  expect(beside(shown, 'a', 1)?.id).toBe('c')
  expect(beside(shown, 'c', 1)?.id).toBe('c')
  expect(beside(shown, 'a', -1)?.id).toBe('a')
  expect(beside(shown, 'b', 1, 1)?.id).toBe('c') // b lay between them
  expect(beside(shown, 'b', -1, 1)?.id).toBe('a')
  expect(beside([], 'b', 1)).toBeUndefined()
})

test('only reads of one rule that need no second factor are approved together', () => {
  expect(whyNotTogether([])).toMatch(/Select/)
  expect(whyNotTogether([decide('a'), decide('b')])).toBeUndefined()
  expect(whyNotTogether([decide('a'), may('b')])).toMatch(/1 of these/)
  expect(whyNotTogether([decide('a'), decide('b', { rule: 'other' })])).toMatch(/different rules/)
  expect(whyNotTogether([decide('a', { patch: patch() })])).toMatch(/one by one/)
  const proof = decide('a', { actions: { ...decide('a').actions, approve: { allowed: true, step_up: true } } })
  expect(whyNotTogether([proof])).toMatch(/second factor/)
})
