import { expect, test } from 'vitest'
import type { Progress } from '../../api/jobs'
import { perSecond, remarks, shortProgress, title, took } from './jobWords'

const progress: Progress = {
  pages: 12,
  secrets: 5812,
  found: 23,
  changed: 4,
  gone: 0,
  skipped: 0,
  unlisted: 0,
  refused: 0,
  per_second: 410.4,
  at: '2026-11-27T10:00:14Z',
}

test('a running scan tells how fast it is, an ended one what it found', () => {
  expect(shortProgress({ type: 'discover', state: 'running', progress })).toBe('5,812 secrets, 410 a second')
  expect(shortProgress({ type: 'discover', state: 'finished', progress })).toBe('5,812 secrets, 23 new, 4 changed')
  expect(shortProgress({ type: 'discover', state: 'queued' })).toBe('')
})

test('names of keys are counted, and never named in a list', () => {
  expect(shortProgress({ type: 'keys', state: 'finished', keys: 1 })).toBe('1 name')
})

test('a slow scan has a rate, too', () => {
  expect([0, 0.4, 12.4, 1234].map(perSecond)).toEqual(['0.0', '0.4', '12', '1,234'])
})

test('only what was met needs a remark, and folders that did not open say why nothing is gone', () => {
  expect(remarks('discover', progress)).toEqual([])
  expect(remarks('discover', { ...progress, unlisted: 2, refused: 3 })).toEqual([
    expect.stringContaining('nothing counts as gone'),
  ])
  expect(remarks('fingerprint', { ...progress, refused: 3 })).toEqual([expect.stringContaining('too easy to guess')])
})

test('a job is named by what it is about', () => {
  expect(title({ type: 'discover', connection: 'vault' })).toBe('Scan of vault')
  expect(title({ type: 'keys', connection: 'vault', ref: 'prod/db' })).toBe('Names of keys of vault/prod/db')
})

test('a job takes time from when it was taken, until it ends or until now', () => {
  const taken_at = '2026-11-27T10:00:00Z'
  const now = Date.parse('2026-11-27T10:01:30Z')
  expect(took({}, now)).toBe('')
  expect(took({ taken_at }, now)).toBe('1 min 30 s')
  expect(took({ taken_at, ended_at: '2026-11-27T10:00:04Z' }, now)).toBe('4 s')
})
