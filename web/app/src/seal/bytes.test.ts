// @vitest-environment node
import { expect, test } from 'vitest'
import {
  concat,
  equal,
  fields,
  fromBase64,
  fromBase64url,
  hex,
  toBase64,
  toBase64url,
  u16,
  u32,
  u64,
  wipe,
} from './bytes'
import { SealError } from './errors'

test('numbers are big endian', () => {
  expect(hex(concat(u16(0x647a), u32(0xfffefdfc), u64(1_798_858_800)))).toBe('647afffefdfc000000006b386830')
})

test('a field is behind its length in bytes, not characters', () => {
  expect(hex(fields('é', ''))).toBe('00000002c3a900000000')
})

test('base64 is what Go writes, in that one spelling', () => {
  const bytes = Uint8Array.of(0xfb, 0xff, 0xbf, 0)
  expect([toBase64(bytes), toBase64url(bytes)]).toEqual(['+/+/AA==', '-_-_AA'])
  expect([fromBase64('+/+/AA=='), fromBase64url('-_-_AA')]).toEqual([bytes, bytes])
  expect(toBase64(fromBase64(''))).toBe('')
  for (const other of ['+/+/AA', '+/+/AB==', '-_-_AA==', '+/+/\nAA==', ' +/+/AA==', '+/+/AA=', '?']) {
    expect(() => fromBase64(other), other).toThrow(SealError)
  }
  for (const other of ['-_-_AA==', '-_-_AB', '+/+/AA', '-_-_A', '-_-_AA\n']) {
    expect(() => fromBase64url(other), other).toThrow(SealError)
  }
})

test('arrays are equal if every byte is', () => {
  expect(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true)
  expect(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false)
  expect(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0))).toBe(false)
})

test('a wiped window leaves zeros in what it is a window of', () => {
  const all = Uint8Array.of(1, 2, 3)
  wipe(all.subarray(1), Uint8Array.of(9))
  expect(all).toEqual(Uint8Array.of(1, 0, 0))
})
