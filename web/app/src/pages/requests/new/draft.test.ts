import { expect, test } from 'vitest'
import { Refusal } from '../../../api/problem'
import type { Request } from '../../../api/requests'
import { Fault } from '../values/sealing'
import { askOf, bodyOf, type Draft, draftOf, emptyDraft, fieldOf, missing, repeat } from './draft'

const read: Draft = { ...emptyDraft, secret: ' file/prod/db ', keys: ['password'], reason: ' restore it ', ticket: ' ' }
const change: Draft = {
  ...read,
  operation: 'change',
  rows: [
    { id: 0, key: ' password ', action: 'set' },
    { id: 1, key: 'legacy', action: 'unset' },
  ],
}
const sealed = [{ key: 'password', action: 'set' as const, sealed: 'UAFk' }]

test('a draft becomes what the server takes, and nothing that does not belong to it', () => {
  expect(bodyOf(read, [])).toEqual({
    secret: 'file/prod/db',
    operation: 'read',
    keys: ['password'],
    reason: 'restore it',
  })
  expect(bodyOf({ ...read, keys: [], ticket: 'OPS-1', glass: { on: true, reason: 'it burns' } }, [])).toEqual({
    secret: 'file/prod/db',
    operation: 'read',
    reason: 'restore it',
    ticket: 'OPS-1',
    break_glass: { reason: 'it burns' },
  })
  expect(bodyOf(change, sealed)).toEqual({
    secret: 'file/prod/db',
    operation: 'patch',
    changes: sealed,
    reason: 'restore it',
  })
  expect(
    bodyOf({ ...change, operation: 'create', fill: { on: true, team: 'payments', within: 3600 } }, sealed),
  ).toMatchObject({
    create: true,
    fill: { team: 'payments', within_seconds: 3600 },
  })
})

test('values of another team are never without approval', () => {
  const both = { ...change, fill: { on: true, team: 'payments', within: 0 }, glass: { on: true, reason: 'it burns' } }
  expect(bodyOf(both, sealed)).not.toHaveProperty('break_glass')
})

test('the rules are asked about the keys that are read or changed', () => {
  expect(askOf(read)).toEqual({ secret: 'file/prod/db', operation: 'read', keys: ['password'] })
  expect(askOf({ ...change, operation: 'create' })).toEqual({
    secret: 'file/prod/db',
    operation: 'patch',
    create: true,
    keys: ['password', 'legacy'],
  })
})

test('an address starts a draft, and what it makes up reads', () => {
  expect(draftOf({ secret: 'file/a', operation: 'patch' })).toMatchObject({ secret: 'file/a', operation: 'change' })
  expect(draftOf({ operation: 'destroy' }).operation).toBe('read')
})

test('a request is repeated without its values and without its second reason', () => {
  const before = {
    secret: 'file/a',
    operation: 'patch',
    keys: [],
    reason: 'rotate it',
    ticket: 'OPS-2',
    patch: { create: false, changes: [{ key: 'b', action: 'unset' }] },
    glass: { reason: 'it burns' },
  } as unknown as Request
  expect(repeat(before)).toEqual({
    ...emptyDraft,
    secret: 'file/a',
    operation: 'change',
    rows: [{ id: 0, key: 'b', action: 'unset' }],
    reason: 'rotate it',
    ticket: 'OPS-2',
  })
})

test('what is missing is told where it is missing', () => {
  expect(missing(read)).toEqual([])
  const bad: Draft = {
    ...change,
    secret: 'file/',
    reason: '',
    rows: [...change.rows, { id: 2, key: 'legacy', action: 'set' }],
  }
  expect(missing({ ...bad, fill: { on: true, team: ' ', within: 0 } }).map(({ field }) => field)).toEqual([
    'secret',
    'rows',
    'fill',
    'reason',
  ])
})

test('what the server refuses is told beside its field', () => {
  const refusal = (code: string) =>
    new Refusal({ type: `about:blank#${code}`, title: 'No', status: 422, detail: 'no', code } as never)
  expect(
    ['reason_too_short', 'ticket_invalid', 'ref_invalid', 'break_glass_reason', 'internal'].map((code) =>
      fieldOf(refusal(code)),
    ),
  ).toEqual(['reason', 'ticket', 'secret', 'glass', 'form'])
  expect(fieldOf(new Fault('a', 'Type it.'))).toBe('rows')
})
