import { expect, test } from 'vitest'
import { local, whyNotSignedOn } from './words'

test('nobody is led to another site, or back to the sign-in', () => {
  for (const to of [
    '//evil.example',
    '/\\evil.example',
    'https://evil.example',
    'javascript:alert(1)',
    '/a\\b',
    '/a b',
    '/sign-in?x',
    '',
  ]) {
    expect(local(to), to).toBe('/')
  }
  expect(local('/requests?state=pending&state=failed')).toBe('/requests?state=pending&state=failed')
})

test('an unknown code is never shown as it came', () => {
  expect(whyNotSignedOn('<b>you won</b>')).not.toContain('won')
})
