import { SealError } from './errors'

/** Bytes are an array over a buffer of its own, as WebCrypto wants them. */
export type Bytes = Uint8Array<ArrayBuffer>

/** utf8 encodes a text as it is: no case folding, no normalisation. */
export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text)
}

/** concat copies the parts into one array. */
export function concat(...parts: Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/**
 * fields puts each part behind its length, four bytes, big endian: `lp` of
 * docs/security/envelopes.md. No two lists of parts share their bytes.
 */
export function fields(...parts: (string | Uint8Array)[]): Bytes {
  return concat(
    ...parts.flatMap((part) => {
      const bytes = typeof part === 'string' ? utf8(part) : part
      return [u32(bytes.length), bytes]
    }),
  )
}

/** u16, u32 and u64 are numbers of two, four and eight bytes, big endian. */
export function u16(n: number): Bytes {
  return Uint8Array.of(n >>> 8, n)
}

export function u32(n: number): Bytes {
  return concat(u16(n >>> 16), u16(n))
}

export function u64(n: number): Bytes {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, BigInt(n))
  return out
}

/** subtle is WebCrypto, or `unsupported`: a page without https has none. */
export function subtle(): SubtleCrypto {
  if (!globalThis.crypto?.subtle) {
    throw new SealError('unsupported')
  }
  return crypto.subtle
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await subtle().digest('SHA-256', bytes))
}

/** hex spells bytes as hexadecimal digits, lower case. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')
}

/** equal compares in a time that depends on the lengths alone. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  let different = a.length ^ b.length
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    different |= (a[i] as number) ^ (b[i] as number)
  }
  return different === 0
}

/**
 * wipe overwrites arrays with zeros. Copies that the engine or a library made stay until
 * their memory is used again, and a string cannot be overwritten at all.
 */
export function wipe(...arrays: Uint8Array[]): void {
  for (const array of arrays) {
    array.fill(0)
  }
}

/**
 * toBase64 is the standard alphabet with padding, as Go's JSON has bytes. Uint8Array has
 * methods for it (ES2026) that Node 20 lacks.
 */
export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const b of bytes) {
    binary += String.fromCharCode(b)
  }
  return btoa(binary)
}

/** fromBase64 reads the one spelling that toBase64 writes, or throws `malformed`. */
export function fromBase64(text: string): Bytes {
  let binary: string
  try {
    binary = atob(text)
  } catch {
    throw new SealError('malformed')
  }
  const out = Uint8Array.from(binary, (c) => c.charCodeAt(0))
  if (toBase64(out) !== text) {
    throw new SealError('malformed')
  }
  return out
}

/** toBase64url is base64url without padding, as keys are printed. */
export function toBase64url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

/** fromBase64url reads the one spelling that toBase64url writes, or throws `malformed`. */
export function fromBase64url(text: string): Bytes {
  const standard = text.replaceAll('-', '+').replaceAll('_', '/')
  const out = fromBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, '='))
  if (toBase64url(out) !== text) {
    throw new SealError('malformed')
  }
  return out
}
