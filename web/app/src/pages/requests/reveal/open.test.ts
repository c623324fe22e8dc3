import { expect, test } from 'vitest'
import { Refusal, Unreachable } from '../../../api/problem'
import { SealError } from '../../../seal'
import { meaning } from './open'
import { copyText, showText } from './shown'

const refusal = (code: string, status: number) =>
  new Refusal({ type: `about:blank#${code}`, title: 'No', status, detail: 'no', code } as never)

test('what an error says of the value, and whether to try again is worth it', () => {
  const told = (error: unknown, called = true) => {
    const { again, used } = meaning(error, called)
    return { again, used }
  }
  expect(told(refusal('already_revealed', 410))).toEqual({ again: false, used: true })
  expect(told(refusal('envelope_expired', 410))).toEqual({ again: false, used: true })
  expect(told(refusal('reveal_not_allowed', 403))).toEqual({ again: false, used: false })
  expect(told(refusal('unavailable', 503))).toEqual({ again: true, used: false })
  expect(told(new SealError('open'))).toEqual({ again: false, used: true })
  expect(told(new SealError('unsupported'), false)).toEqual({ again: false, used: false })
  expect(told(new SealError('expired'), false)).toEqual({ again: true, used: false })
  expect(told(new Unreachable())).toEqual({ again: true, used: false })
  expect(meaning(new Unreachable(), true).says).not.toBe(meaning(new Unreachable(), false).says)
})

test('a value is shown and copied as what it is', () => {
  const text = (value: string) => ({ kind: 'text' as const, bytes: new TextEncoder().encode(value) })
  expect(showText(text('{"a":[1,2]}'))).toBe('{\n  "a": [\n    1,\n    2\n  ]\n}')
  expect(copyText(text('{"a":[1,2]}'))).toBe('{"a":[1,2]}')
  expect(showText(text('[not json'))).toBe('[not json')
  expect(showText(text('{"n":12345678901234567890}'))).toBe('{"n":12345678901234567890}') // and not …567000
  expect(showText(text('{"a":1,"a":2}'))).toBe('{"a":1,"a":2}')
  const binary = { kind: 'binary' as const, bytes: Uint8Array.of(0xff, 0, 1) }
  expect([showText(binary), copyText(binary)]).toEqual(['/wAB', '/wAB'])
})
