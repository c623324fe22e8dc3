import { expect, test } from 'vitest'
import { age, counted, rotation } from './secretWords'

test('an age is told in the unit that one would say', () => {
  expect([1, 45, 90, 214, 729, 1000].map(age)).toEqual([
    '1 day',
    '45 days',
    '2 months',
    '7 months',
    '23 months',
    '2 years',
  ])
})

test('the older a secret is, the more it stands out', () => {
  const of = (age_days: number) => rotation({ age_days, created_at: 'a', updated_at: 'b' })
  expect(of(0)).toEqual({ label: 'today', says: 'Changed today.', tone: 'gray' })
  expect(of(89).tone).toBe('gray')
  expect(of(90).tone).toBe('yellow')
  expect(of(365).tone).toBe('red')
})

test('a secret that was made and never changed says so', () => {
  expect(rotation({ age_days: 100, created_at: 'a' }).says).toContain('not changed since')
  expect(rotation({ age_days: 100, created_at: 'a', updated_at: 'a' }).says).toContain('not changed since')
})

test('a store that tells no time is not taken for a fresh secret', () => {
  expect(rotation({})).toMatchObject({ label: 'not known' })
})

test('a count that was not finished is not told as the whole', () => {
  expect(counted({ count: 1, exact: true })).toBe('1 secret')
  expect(counted({ count: 10_000, exact: false })).toBe('more than 10,000 secrets')
})
