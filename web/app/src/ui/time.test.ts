import { expect, test } from 'vitest'
import { ago, span } from './time'

test('a time is told by its largest unit, and never as zero of something', () => {
  const now = Date.parse('2026-11-24T12:00:00Z')
  expect(ago(now - 3 * 60_000, now)).toBe('3 minutes ago')
  expect(ago(now - 59_000, now)).toBe('just now')
  expect(ago(now + 7_200_000, now)).toBe('in 2 hours')
  expect(ago(now - 86_400_000, now)).toBe('yesterday')
})

test('a span has its two largest parts', () => {
  expect(span(5_400)).toBe('1 h 30 min')
  expect(span(3_605)).toBe('1 h')
  expect(span(0.2)).toBe('0 s')
  expect(span(90_061)).toBe('1 d 1 h')
})
