import { expect, test } from 'vitest'
import type { Rule } from './objects'
import { approversOf, needed, reach, sentenceOf, where } from './words'

test.each<[Rule, string]>([
  [{ effect: 'deny', operations: ['patch'] }, 'Nobody may change any secret.'],
  [
    { effect: 'require', workflow: 'two', scope: { project: 'shop', environment: 'live' } },
    'Whoever may ask may read or change secrets of shop / live once the workflow two has approved.',
  ],
  [
    {
      effect: 'reveal',
      operations: ['read'],
      reveal_ttl_seconds: 300,
      scope: { environment_kind: 'non-prod' },
      when: 'true',
    },
    'Whoever may ask reads secrets outside of production at once, with a second factor, for 5 min, when its condition holds. Never in production.',
  ],
  [
    { effect: 'require' },
    'Whoever may ask may read or change any secret once a workflow that is still to be named has approved.',
  ],
  [{}, 'It has no effect yet.'],
])('a rule is a sentence: %j', (rule, said) => {
  expect(sentenceOf(rule)).toBe(said)
})

test('a scope says all of its fields', () => {
  expect(where({ connection: 'file', prefix: 'prod/', team: 'payments', environment: 'live' })).toBe(
    'secrets of environments named live, of the team payments and the teams below it, and below file/prod/',
  )
  expect(where({ connection: 'file' })).toBe('secrets of the connection file')
  expect(where(undefined)).toBe('any secret')
})

test('approvers are a list in words', () => {
  const nameOf = (id: string) => ({ u_1: 'Ada' })[id] ?? id
  expect(approversOf({ people: ['u_1'], groups: ['security'], team_heads: true }, nameOf)).toBe(
    'Ada, the group security, or the heads of the team',
  )
  expect(approversOf({}, nameOf)).toBe('nobody')
  expect(needed(2, { roles: ['approver'] }, nameOf)).toBe('2 approvals from anybody with the role approver')
})

test('a role without a scope reaches everywhere', () => {
  expect(reach({})).toBe('everywhere')
  expect(reach({ team: 'payments' })).toBe('secrets of the team payments and the teams below it')
})
