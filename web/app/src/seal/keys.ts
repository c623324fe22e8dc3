import { type Bytes, fields, fromBase64url, hex, sha256, toBase64url, u16 } from './bytes'
import { SealError } from './errors'

/** SuiteName is how a printed public key begins. */
export type SuiteName = 'xwing' | 'x25519'

/**
 * The HPKE key encapsulations, by their IANA number, and the sizes of their keys in bytes.
 * The other two thirds of a suite are fixed: HKDF-SHA256 and AES-256-GCM.
 */
export const suites: Record<SuiteName, { kem: number; publicSize: number; encSize: number }> = {
  xwing: { kem: 0x647a, publicSize: 1216, encSize: 1120 },
  x25519: { kem: 0x0020, publicSize: 32, encSize: 32 },
}

/** suiteBytes are the three numbers of a suite: KEM, KDF, AEAD. */
export function suiteBytes(suite: SuiteName): Bytes {
  return Uint8Array.of(...u16(suites[suite].kem), ...u16(0x0001), ...u16(0x0002))
}

/** RecipientPublic is a key that values can be sealed to. */
export interface RecipientPublic {
  suite: SuiteName
  key: Bytes // as RFC 9180 serialises it
  id: Bytes // 32 bytes
}

/** recipientPublic gives a key its id. */
export async function recipientPublic(suite: SuiteName, key: Bytes): Promise<RecipientPublic> {
  const id = await sha256(fields('secretsbridge recipient key v1', u16(suites[suite].kem), key))
  return { suite, key, id }
}

/**
 * parseRecipientPublic reads a printed key: `suite` for a suite that is not known, and `key`
 * for what is no key of its suite.
 */
export async function parseRecipientPublic(text: string): Promise<RecipientPublic> {
  const colon = text.indexOf(':')
  const suite = text.slice(0, Math.max(colon, 0))
  if (suite !== 'xwing' && suite !== 'x25519') {
    throw new SealError('suite')
  }
  const key = decodeKey(text.slice(colon + 1), suites[suite].publicSize)
  return recipientPublic(suite, key)
}

/** printRecipientPublic is the spelling that parseRecipientPublic reads. */
export function printRecipientPublic(to: RecipientPublic): string {
  return `${to.suite}:${toBase64url(to.key)}`
}

/** keyID spells an id as bindings have it. */
export function keyID(to: RecipientPublic): string {
  return hex(to.id)
}

/** VerifyKey is the public half of the control plane's Ed25519 key. */
export interface VerifyKey {
  key: Bytes
  id: Bytes // 32 bytes
}

/** parseVerifyKey reads a printed key, or throws `key`. */
export async function parseVerifyKey(text: string): Promise<VerifyKey> {
  const prefix = 'ed25519:'
  if (!text.startsWith(prefix)) {
    throw new SealError('key')
  }
  const key = decodeKey(text.slice(prefix.length), 32)
  return { key, id: await sha256(fields('secretsbridge signer key v1', key)) }
}

function decodeKey(encoded: string, size: number): Bytes {
  let key: Bytes
  try {
    key = fromBase64url(encoded)
  } catch {
    throw new SealError('key')
  }
  if (key.length !== size) {
    throw new SealError('key')
  }
  return key
}
