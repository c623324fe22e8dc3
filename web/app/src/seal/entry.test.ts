// @vitest-environment node
import { isUtf8 } from 'node:buffer'
import { expect, test } from 'vitest'
import { utf8 } from './bytes'
import { encodeEntry, isText, maxProposed } from './entry'
import { SealError } from './errors'

const encoded = (kind: 'text' | 'json', text: string) => new TextDecoder().decode(encodeEntry(kind, utf8(text)))

test('text is taken as it is', () => {
  expect(encoded('text', ' "ä\n" ')).toBe('s "ä\n" ')
  expect(encoded('text', '')).toBe('s')
})

test('JSON loses its white space and nothing else', () => {
  expect(encoded('json', ' { "a b" : [ 1.50 , -0e1, "\\" \\\\" ,\t"\\u00e9" ] ,"a b":null}\r\n')).toBe(
    'j{"a b":[1.50,-0e1,"\\" \\\\","\\u00e9"],"a b":null}',
  )
})

test('JSON that is none or a string is refused, and so is another kind', () => {
  for (const text of [
    '',
    ' ',
    '{',
    '"a"',
    ' "a"',
    '01',
    'nul',
    '\ufeff1',
    '[1,]',
    "{'a':1}",
    '1 2',
    '"\u0001"',
    'NaN',
  ]) {
    expect(() => encoded('json', text), text).toThrow(new SealError('value'))
  }
})

test('a value has at most 524,287 bytes', () => {
  expect(encodeEntry('text', new Uint8Array(maxProposed)).length).toBe(524_288)
  expect(() => encodeEntry('text', new Uint8Array(maxProposed + 1))).toThrow(new SealError('too_large'))
})

test('bytes that are no UTF-8 are refused', () => {
  expect(() => encodeEntry('text', Uint8Array.of(0xff))).toThrow(new SealError('value'))
  expect(() => encodeEntry('json', Uint8Array.of(0x5b, 0x22, 0xff, 0x22, 0x5d))).toThrow(new SealError('value'))
})

test('what is text is what Node takes for UTF-8, of all that begins alike and of the edges behind', () => {
  const edges = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff]
  let texts = 0
  const check = (...bytes: number[]) => {
    const array = Uint8Array.from(bytes)
    const want = isUtf8(array)
    texts += want ? 1 : 0
    if (isText(array) !== want) {
      expect.fail(`${bytes}: ${!want}`)
    }
  }
  for (let first = 0; first < 256; first++) {
    check(first)
    for (let second = 0; second < 256; second++) {
      check(first, second)
      for (const third of first < 0xc0 ? [] : edges) {
        check(first, second, third)
        for (const fourth of first < 0xf0 ? [] : edges) {
          check(first, second, third, fourth)
        }
      }
    }
  }
  expect(texts).toBe(37_248)
})
