import { expect, test } from 'vitest'
import type { Request } from '../../api/requests'
import { standing } from '../requestWords'
import { checks, clauses } from './checks'
import { diff, staleness, total } from './diff'
import { ada, patch, request, step } from './examples'
import { stages } from './progress'

const brief = (of: Request) => stages(of).map(({ title, state, says }) => `${title}: ${state}, ${says}`)

test('a row has the sign of what happens to its key, and says so without the sign', () => {
  const rows = diff(
    request({
      operation: 'patch',
      patch: patch({
        changes: [
          { key: 'a', action: 'set', effect: 'added' },
          { key: 'b', action: 'set', effect: 'changed' },
          { key: 'c', action: 'unset', effect: 'removed' },
          { key: 'd', action: 'set', effect: 'unchanged' },
        ],
      }),
    }),
  )
  expect(rows.map(({ sign, key, says }) => `${sign} ${key} ${says}`)).toEqual([
    '+ a is added',
    '~ b gets another value',
    '− c is removed',
    '= d stays as it is',
  ])
  expect(total(rows)).toBe('1 added, 1 changed, 1 removed, 1 as they are')
})

test('effects that are withheld, or not known yet, leave what was asked for', () => {
  const rows = diff(
    request({
      operation: 'patch',
      patch: patch({
        effects_withheld: true,
        changes: [
          { key: 'a', action: 'set' },
          { key: 'b', action: 'unset' },
        ],
      }),
    }),
  )
  expect(rows.map(({ sign, says }) => sign + says)).toEqual(['·will be set', '·will be removed'])
  expect(total(rows)).toBe('')
})

test('a secret that changed is said while somebody can still decide, and lost approvals before all', () => {
  expect(staleness(patch(), false)).toBeUndefined()
  expect(staleness(patch({ changed: true }), false)).toMatch(/changed since/)
  expect(staleness(patch({ changed: true, voided: 2 }), false)).toMatch(/approvals given before no longer count/)
  expect(staleness(patch({ changed: true, voided: 2 }), true)).toBeUndefined()
})

test('the stages of a request say how far it is', () => {
  const two = { id: 'team-leads', role: '', from: { roles: ['approver'] }, approvals: 2, given: 1 }
  const later = { id: 'security', role: '', from: { groups: ['sec'] }, approvals: 1, given: 0 }
  expect(brief(request({ steps: [two, later] }))).toEqual([
    'Asked: done, Dana',
    'Team leads: now, 1 of 2',
    'Security: later, 0 of 1',
    'Read: later, Afterwards',
    'Opened: later, Once',
  ])
})

test('an approval says whose it was, and what was opened says when', () => {
  const vote = { step: 'approve', approver: ada, decision: 'approved' as const, at: '2026-11-24T10:05:00Z' }
  const envelope = { id: 'e_1', key: 'password', fingerprint: '', expires: '2026-11-24T10:16:00Z' }
  const of = request({
    state: 'executed',
    steps: [{ ...step, given: 1 }],
    votes: [vote],
    envelopes: [
      { ...envelope, state: 'revealed', at: '2026-11-24T10:08:00Z' },
      { ...envelope, state: 'revealed', at: '2026-11-24T10:07:00Z' },
    ],
  })
  const [, approval, , opened] = stages(of)
  expect(approval).toMatchObject({ state: 'done', more: 'Ada' })
  expect(opened?.at).toBe('2026-11-24T10:08:00Z')
})

test('a denied request stops where it was denied, and nothing after it is promised', () => {
  const vote = { step: 'approve', approver: ada, decision: 'rejected' as const, at: '2026-11-24T10:05:00Z' }
  expect(brief(request({ state: 'rejected', votes: [vote] })).slice(1)).toEqual([
    'Approval: stopped, Denied by Ada',
    'Read: later, Does not happen',
    'Opened: later, Does not happen',
  ])
})

test('values that are ready wait to be opened, and those that nobody opened are told', () => {
  const envelope = { id: 'e_1', key: 'password', fingerprint: '', expires: '2026-11-24T10:16:00Z', at: '' }
  const done = (...states: Request['envelopes'][number]['state'][]) =>
    brief(request({ state: 'executed', envelopes: states.map((state) => ({ ...envelope, state })) })).at(-1)
  expect(done('ready', 'revealed')).toBe('Opened: now, 1 of 2')
  expect(done('revealed', 'expired')).toBe('Opened: done, 1 of 2')
  expect(done('expired')).toBe('Opened: stopped, Never opened')
})

test('a read that was carried out stands as its values do, and a list goes by what may be opened', () => {
  const envelope = { id: 'e_1', key: 'password', fingerprint: '', expires: '2026-11-24T10:16:00Z', at: '' }
  const label = (...states: Request['envelopes'][number]['state'][]) =>
    standing(request({ state: 'executed', envelopes: states.map((state) => ({ ...envelope, state })) })).label
  expect(label('revealed', 'ready')).toBe('Ready to open')
  expect(label('revealed', 'revealed')).toBe('Opened')
  expect(label('expired')).toBe('Lapsed')
  expect(label('revealed', 'expired')).toBe('Done')
  expect(label()).toBe('Done')
  const { actions } = request()
  const mine = request({ state: 'executed', actions: { ...actions, reveal: { allowed: true } } })
  expect(standing(mine).label).toBe('Ready to open')
})

test('break-glass skips the approvals and leaves a review to do', () => {
  const glass = {
    reason: 'down',
    review_until: '2026-11-25T10:00:00Z',
    review: 'pending' as const,
    reviewers: { people: [ada] },
  }
  expect(brief(request({ state: 'running', glass }))[1]).toBe('Approval: skipped, Done without')
  const marks = (of: typeof glass | (Omit<typeof glass, 'review'> & { review: 'done'; outcome: 'unjustified' })) =>
    checks(request({ glass: of })).map(({ id, mark }) => `${id}: ${mark}`)
  expect(marks(glass)).toEqual(['rule: pass', 'glass: wait'])
  expect(marks({ ...glass, review: 'done', outcome: 'unjustified' })).toEqual(['rule: pass', 'glass: fail'])
})

test('a check waits for approvals, and says from whom', () => {
  expect(checks(request()).at(-1)).toMatchObject({
    mark: 'wait',
    says: 'needs 1 more approval, from anybody with the role approver',
  })
  expect(checks(request({ steps: [{ ...step, given: 1 }], state: 'running' })).at(-1)?.mark).toBe('pass')
})

test('a clause that decided against it fails, and its condition is there to read', () => {
  const [denied, other] = clauses({
    secret: 'file/a',
    allowed: false,
    version: 1,
    steps: [],
    clauses: [
      {
        about: 'rule',
        name: 'no-friday',
        effect: 'deny',
        outcome: 'decided',
        why: 'it denies',
        when: 'now.getDayOfWeek() == 5',
      },
      { about: 'rule', name: 'reads', effect: 'require', outcome: 'scope', why: 'it is for another place' },
    ],
  })
  expect(denied).toMatchObject({ mark: 'fail', title: 'Rule no-friday', cel: 'now.getDayOfWeek() == 5' })
  expect(other?.mark).toBe('note')
})
