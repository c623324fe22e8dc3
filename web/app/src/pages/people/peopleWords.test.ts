import { expect, test } from 'vitest'
import { factorsOf, rolesOf, standingOf } from './peopleWords'

test('somebody who never came in is invited, and who signs on elsewhere is active without a password', () => {
  expect(standingOf({ state: 'active', password: false }).label).toBe('Invited')
  expect(standingOf({ state: 'active', password: false, signed_in_at: '2026-11-24T12:00:00Z' }).label).toBe('Active')
  expect(standingOf({ state: 'disabled', password: true }).label).toBe('Kept out')
})

test('a role in two places is named once', () => {
  expect(
    rolesOf({
      grants: [
        { role: 'b', scope: {} },
        { role: 'a', scope: {} },
        { role: 'b', scope: { team: 'x' } },
      ],
    }),
  ).toBe('a, b')
  expect(rolesOf({ grants: [] })).toBe('none')
  expect(factorsOf({ factors: ['totp', 'totp', 'passkey'] })).toBe('authenticator app, passkey')
})
