import { expect, test } from 'vitest'
import { stepOf, told } from './agentWords'
import { enrolCommand, masked } from './enrolCommand'

const token = 'sbe_a_0123456789abcdefghjkmnpqrs.c2VjcmV0LXBhcnQtb2YtaXQ'

test('the token is on a line of its own, and is no argument', () => {
  const lines = enrolCommand('https://sb.example.com', token).split('\n')
  expect(lines).toEqual([expect.any(String), expect.stringContaining('--token-file -'), token, 'END'])
  expect(lines[0]).toContain('--server https://sb.example.com')
  expect(lines[0]).toMatch(/^ /)
})

test('a masked token shows nothing of what is secret', () => {
  expect(masked(token)).toBe('sbe_••••••••••••••••••••••••')
})

test('an agent is as far as it got', () => {
  expect(stepOf(undefined)).toBe('invited')
  expect(stepOf({ state: 'invited' })).toBe('invited')
  expect(stepOf({ state: 'offline', enrolled_at: '2026-11-27T10:00:00Z' })).toBe('enrolled')
  expect(stepOf({ state: 'online', enrolled_at: '2026-11-27T10:00:00Z' })).toBe('online')
})

test('an invitation that ended says what to do', () => {
  const ends = '2026-11-27T10:00:00Z'
  expect(told({ state: 'invited', token_ends: ends }, Date.parse(ends) - 1)).toContain('not enrolled yet')
  expect(told({ state: 'invited', token_ends: ends }, Date.parse(ends))).toContain('invite it anew')
  expect(told({ state: 'expired', token_ends: ends }, Date.parse(ends))).toContain('invite it anew')
})
