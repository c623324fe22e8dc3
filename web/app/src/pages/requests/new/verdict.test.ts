import { expect, test } from 'vitest'
import type { Explanation } from '../../../api/asking'
import { needs, usually, whyRefused } from './verdict'

const step = (approvals: number, from: Explanation['steps'][number]['from']) => ({
  step: 'a',
  approvals,
  voters: 2,
  fallback_voters: 0,
  from,
})
const x = (more: Partial<Explanation>): Explanation => ({
  secret: 'file/a',
  allowed: true,
  version: 1,
  clauses: [],
  steps: [],
  ...more,
})

test('what a request needs is a sentence', () => {
  expect(needs(x({ steps: [step(1, { groups: ['payments-oncall'] }), step(1, { owners: true })] }))).toBe(
    'Needs 2 approvals: 1 from the group payments-oncall, then 1 from the owners of the secret.',
  )
  expect(needs(x({ steps: [step(1, { roles: ['approver'] })] }))).toBe(
    'Needs an approval from anybody with the role approver.',
  )
  expect(needs(x({ effect: 'reveal' }))).toContain('at once')
})

test('how long it takes is said only where it is known', () => {
  expect(usually(x({}))).toBeUndefined()
  expect(usually(x({ usual_wait: { seconds: 360, of: 20 } }))).toBe('Usually takes 6 min.')
})

test('a refusal that nobody knows yet still has words', () => {
  expect(whyRefused(x({ allowed: false, refusal: 'no_rule' }))).toContain('No rule allows it')
  expect(whyRefused(x({ allowed: false, refusal: 'moon_phase' }))).toBe('The rules do not allow it.')
})
