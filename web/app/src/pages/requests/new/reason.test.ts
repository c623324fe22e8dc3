import { expect, test } from 'vitest'
import { advise, ticketIn } from './reason'

test('a reason is rated by what it tells', () => {
  const rated: Record<string, number> = {
    '': 0,
    '   ': 0,
    quick: 1,
    'please i need this now': 1,
    aaaaaaaaaaaaaaaaaaaa: 1,
    'database of the billing team': 2,
    'restore the backup of Monday': 3,
    'look at the relay, it is broken': 3,
    'billing database OPS-42': 3,
  }
  expect(Object.fromEntries(Object.keys(rated).map((text) => [text, advise(text, '').level]))).toEqual(rated)
  expect(advise('database of the billing team', 'OPS-42').level).toBe(3)
})

test('what the workflow asks for comes first', () => {
  expect(advise('restore the backup', '', 30)).toEqual({
    level: 1,
    says: 'The workflow wants 30 characters at least; 12 are missing.',
  })
  expect(advise('ä'.repeat(9), '', 10).says).toContain('1 are missing') // characters, not bytes
})

test('a ticket is found, and not everything with a dash is one', () => {
  const found: Record<string, string | undefined> = {
    'see ABC-123 for it': 'ABC-123',
    'OPS-7: rotate, then OPS-8': 'OPS-7',
    '(PAY2-4711)': 'PAY2-4711',
    'SHA-256 instead of UTF-8': undefined,
    'CVE-2026-1234 in BANK-9': 'BANK-9',
    'abc-123': undefined,
    'prod-ABC-123': undefined,
    'ABC-123-x': undefined,
    'A-1': undefined,
  }
  expect(Object.fromEntries(Object.keys(found).map((text) => [text, ticketIn(text)]))).toEqual(found)
})
