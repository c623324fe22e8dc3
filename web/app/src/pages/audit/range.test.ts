import { expect, test } from 'vitest'
import { drawn, queryOf } from './filters'
import { fromInput, ranges, timesOf, toInput } from './range'

const now = Date.parse('2026-11-24T12:00:00Z')

test('each range begins so long before now, and ends with it', () => {
  expect(timesOf({ range: '1h' }, now)).toEqual({ range: '1h', since: '2026-11-24T11:00:00.000Z' })
  expect(timesOf({ range: '24h' }, now)).toEqual({ range: '24h', since: '2026-11-23T12:00:00.000Z' })
  expect(timesOf({ range: '7d' }, now)).toEqual({ range: '7d', since: '2026-11-17T12:00:00.000Z' })
  expect(timesOf({ range: '30d' }, now)).toEqual({ range: '30d', since: '2026-10-25T12:00:00.000Z' })
  expect(timesOf({ range: 'any' }, now)).toEqual({ range: 'any' })
  expect(Object.keys(ranges)).toHaveLength(5)
})

test('an address that says no time means the last 30 days, and any time of one thing', () => {
  expect(timesOf({}, now).range).toBe('30d')
  for (const name of ['stream', 'correlation', 'secret'])
    expect(timesOf({ [name]: 'x' }, now)).toEqual({ range: 'any' })
  expect(timesOf({ stream: 'x', range: '1h' }, now).range).toBe('1h')
})

test('a time that is none is as if it were not there', () => {
  expect(timesOf({ since: 'yesterday', range: 'toString' }, now).range).toBe('30d')
  expect(timesOf({ since: '2026-11-24T09:00:00+01:00', until: 'never' }, now)).toEqual({
    range: 'custom',
    since: '2026-11-24T08:00:00.000Z',
  })
})

test('an input of local time gives back the time that it got, to the minute', () => {
  expect(fromInput(toInput('2026-07-01T23:59:00Z'))).toBe('2026-07-01T23:59:00.000Z')
  expect([toInput(undefined), fromInput(''), fromInput('2026-02')]).toEqual(['', '', '2026-02-01T00:00:00.000Z'])
})

test('an address asks only what the server answers', () => {
  const search = { text: 'ab', outcome: 'maybe', actor: 'user:u_1', range: 'any', other: 'x' }
  expect(queryOf(search, now)).toEqual({ actor: 'user:u_1' })
  expect(queryOf({ text: '日本語', outcome: 'denied', range: 'any' }, now)).toEqual({
    text: '日本語',
    outcome: 'denied',
  })
})

test('the histogram ends with the look, unless the time has an end of its own or no beginning', () => {
  const since = '2026-11-24T11:00:00.000Z'
  expect(drawn({ since }, now)).toEqual({ since, until: '2026-11-24T12:00:00.000Z' })
  expect(drawn({ since, until: since }, now)).toEqual({ since, until: since })
  expect(drawn({}, now)).toEqual({})
})
