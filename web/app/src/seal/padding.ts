import { type Bytes, u32 } from './bytes'
import { SealError } from './errors'

/** The largest value that is sealed, in bytes. */
export const maxValue = 524_288

/** Values are padded to multiples of this, so that their length shows in steps only. */
export const padStep = 256

const prefix = 4 // the length before the value

/** paddedSize rounds up to the step, the prefix included: never zero. */
export function paddedSize(n: number): number {
  return Math.ceil((prefix + n) / padStep) * padStep
}

/** pad is the length in four bytes, the value, zeros up to the step. The caller wipes it. */
export function pad(value: Uint8Array): Bytes {
  const out = new Uint8Array(paddedSize(value.length))
  out.set(u32(value.length))
  out.set(value, prefix)
  return out
}

/**
 * unpad returns the value as a window into the padded bytes. There is one padding for each
 * value; any other is `open`.
 */
export function unpad(padded: Bytes): Bytes {
  if (padded.length < padStep) {
    throw new SealError('open')
  }
  const n = new DataView(padded.buffer, padded.byteOffset).getUint32(0)
  const rest = padded.subarray(Math.min(prefix + n, padded.length)).reduce((all, b) => all | b, 0)
  if (n > maxValue || paddedSize(n) !== padded.length || rest !== 0) {
    throw new SealError('open')
  }
  return padded.subarray(prefix, prefix + n)
}
