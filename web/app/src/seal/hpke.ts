import type { CipherSuite } from '@hpke/core'
import { type Bytes, concat, equal, utf8 } from './bytes'
import { SealError } from './errors'
import { type RecipientPublic, type SuiteName, suites } from './keys'

/** The exporter context of the commitment (RFC 9180, section 5.3) and its length in bytes. */
const commitExport = utf8('commit')
export const commitmentSize = 32

/** What AES-GCM adds to a plaintext, in bytes. */
export const tagSize = 16

/**
 * cipherSuite loads the library, which is a chunk of its own. It rejects with the loader's
 * error if the network breaks.
 */
export async function cipherSuite(suite: SuiteName): Promise<CipherSuite> {
  const { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } = await import('@hpke/core')
  const kem = suite === 'x25519' ? new DhkemX25519HkdfSha256() : new (await import('@hpke/hybridkem-x-wing')).XWing()
  return new CipherSuite({ kem, kdf: new HkdfSha256(), aead: new Aes256Gcm() })
}

/**
 * sealTo encrypts to a key in a context of its own, so that no counter can repeat. The
 * result is the header (prefix, encapsulated key, commitment), which is the associated
 * data, and the ciphertext. A key that nothing can be sealed to is `key`.
 *
 * The library copies windows and takes buffers as they are: `.buffer` keeps the plaintext
 * in one place. Its arguments are in the reverse order of Go's.
 */
export async function sealTo(to: RecipientPublic, info: Bytes, prefix: Bytes, plaintext: Bytes): Promise<Bytes> {
  const suite = await cipherSuite(to.suite)
  try {
    const recipientPublicKey = await suite.kem.deserializePublicKey(to.key)
    const sender = await suite.createSenderContext({ recipientPublicKey, info })
    const commitment = await sender.export(commitExport, commitmentSize)
    const header = concat(prefix, new Uint8Array(sender.enc), new Uint8Array(commitment))
    const ciphertext = await sender.seal(plaintext.buffer, header)
    return concat(header, new Uint8Array(ciphertext))
  } catch {
    throw new SealError('key')
  }
}

/** Sealed are the parts of sealed bytes, as windows into them. */
export interface Sealed {
  header: Bytes
  enc: Bytes
  commitment: Bytes
  ciphertext: Bytes
}

/**
 * split finds the parts of bytes whose encapsulated key begins at an offset and whose
 * ciphertext ends before `end`.
 */
export function split(bytes: Bytes, suite: SuiteName, offset: number, end: number): Sealed {
  const encEnd = offset + suites[suite].encSize
  const headerEnd = encEnd + commitmentSize
  return {
    header: bytes.subarray(0, headerEnd),
    enc: bytes.subarray(offset, encEnd),
    commitment: bytes.subarray(encEnd, headerEnd),
    ciphertext: bytes.subarray(headerEnd, end),
  }
}

/** openFrom decrypts what sealTo made. Every fault is `open`. */
export async function openFrom(suite: CipherSuite, privateKey: CryptoKey, info: Bytes, sealed: Sealed): Promise<Bytes> {
  try {
    const recipient = await suite.createRecipientContext({ recipientKey: privateKey, enc: sealed.enc, info })
    const commitment = await recipient.export(commitExport, commitmentSize)
    if (equal(new Uint8Array(commitment), sealed.commitment)) {
      return new Uint8Array(await recipient.open(sealed.ciphertext, sealed.header))
    }
  } catch {
    // The library's errors say which step failed; ours do not.
  }
  throw new SealError('open')
}
