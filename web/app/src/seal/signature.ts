import { type Bytes, fields, subtle } from './bytes'
import { SealError } from './errors'

/** The length of an Ed25519 signature, in bytes. */
export const signatureSize = 64

/** statement is what is signed of bytes for the use that the domain names. */
export function statement(domain: string, message: Uint8Array): Bytes {
  return fields('secretsbridge statement v1', domain, message)
}

/**
 * verify returns if the key made the signature of exactly these bytes, and throws `signature`
 * if not. WebCrypto does it: Chrome 137, Firefox 129, Safari 17. A browser without, or a page
 * without https, is `unsupported` (decision 0104).
 */
export async function verify(key: Bytes, signed: Bytes, signature: Bytes): Promise<void> {
  const imported = await importKey(key)
  if (!(await subtle().verify('Ed25519', imported, signature, signed))) {
    throw new SealError('signature')
  }
}

/**
 * needSignatures throws `unsupported` where verify would. Asked before a value is used up:
 * afterwards it would be too late.
 */
export async function needSignatures(): Promise<void> {
  await importKey(basePoint)
}

/** The point that all keys of Ed25519 are multiples of, RFC 8032, section 5.1: a valid key. */
const basePoint: Bytes = new Uint8Array(32).fill(0x66).fill(0x58, 0, 1)

async function importKey(key: Bytes): Promise<CryptoKey> {
  const webCrypto = subtle()
  try {
    return await webCrypto.importKey('raw', key, 'Ed25519', false, ['verify'])
  } catch (e) {
    const unknown = e instanceof Object && 'name' in e && e.name === 'NotSupportedError'
    throw new SealError(unknown ? 'unsupported' : 'signature')
  }
}
