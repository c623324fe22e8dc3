// @vitest-environment node
import { expect, test } from 'vitest'
import { equal } from './bytes'
import { SealError } from './errors'
import { maxValue, pad, unpad } from './padding'

test('a value is padded to steps of 256 bytes with its length before it, and comes back', () => {
  for (const [n, size] of [
    [0, 256],
    [252, 256],
    [253, 512],
    [508, 512],
    [maxValue, 524_544],
  ] as const) {
    const value = new Uint8Array(n).fill(7)
    const padded = pad(value)
    expect(padded.length, `${n}`).toBe(size)
    expect(new DataView(padded.buffer).getUint32(0)).toBe(n)
    expect(equal(unpad(padded), value)).toBe(true)
  }
})

test('another padding is refused', () => {
  const broken = (change: (b: Uint8Array) => void, size = 256) => {
    const b = new Uint8Array(size)
    change(b)
    return b
  }
  for (const [what, padded] of Object.entries({
    nothing: new Uint8Array(0),
    'no whole step': new Uint8Array(255),
    'a length beyond the end': broken((b) => b.set([0, 0, 0, 253])),
    'a length of four gigabytes': broken((b) => b.set([255, 255, 255, 255])),
    'a step too many': new Uint8Array(512),
    'no zero at the end': broken((b) => b.set([1], 255)),
    'no zero right after the value': broken((b) => b.set([0, 0, 0, 1, 7, 1])),
    'a value that is too long': broken((b) => b.set([0, 8, 0, 1]), 524_544),
  })) {
    expect(() => unpad(padded), what).toThrow(new SealError('open'))
  }
})
