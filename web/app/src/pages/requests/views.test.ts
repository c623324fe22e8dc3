import { expect, test } from 'vitest'
import { filtersOf, narrowed, viewOf } from './views'

test('an address says what is asked for', () => {
  expect(filtersOf({ show: 'asked', connection: 'vault', mine: 'true' }, true)).toEqual({
    asked: 'me',
    connection: 'vault',
    mine: true,
  })
  expect(filtersOf({ show: 'done', operation: 'patch' }, false)).toEqual({ state: ['executed'], operation: 'patch' })
})

test('an exact state in a link counts more than a view', () => {
  expect(filtersOf({ show: 'open', state: ['pending', 'running'] }, true)).toEqual({ state: ['pending', 'running'] })
})

test('what an address makes up is left out', () => {
  expect(viewOf({ show: 'everything' })).toBe('all')
  expect(filtersOf({ show: 'everything', operation: 'delete', mine: 'yes', other: 'x' }, true)).toEqual({})
  expect(narrowed({ connection: '', project: 'shop' })).toEqual([['project', 'shop']])
})
