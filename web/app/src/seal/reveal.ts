import { encodeBinding, unixSeconds } from './binding'
import { type Bytes, equal, fields, fromBase64, sha256, wipe } from './bytes'
import { type Entry, isText } from './entry'
import { SealError } from './errors'
import { commitmentSize, type Sealed, split, tagSize } from './hpke'
import { parseVerifyKey, type SuiteName, suiteBytes, suites } from './keys'
import { maxValue, paddedSize, unpad } from './padding'
import type { Recipient } from './recipient'
import { signatureSize, verify } from './signature'

/** RevealedFor is what a revealed value is bound to. */
export interface RevealedFor {
  request: string // id of the request
  envelope: string
  key: string // key name inside the secret
  connection: string
  ref: string
  me: string // id of the requester, who is signed in
  notAfter: string // as the answer has it
}

// The parts of a message, in their order: kind and version, suite, recipient key id, signer
// key id, encapsulated key, commitment; then ciphertext with tag, and the signature.
const [suiteAt, recipientAt, signerAt, encAt] = [2, 8, 40, 72]

/**
 * openRevealed opens a value message to this call's key, in the order of
 * docs/security/envelopes.md: form (`malformed`), version and suite (`suite`), the signature
 * (`signature`), and then everything else (`open`). Sealed is base64, as the answer has it.
 * The bytes are the caller's to wipe.
 *
 * The end is bound, but not held against this machine's clock, as `sb` does not: the key is
 * of this call, so nothing old can open, and a clock that is wrong would lose a value that
 * is used up.
 */
export async function openRevealed(own: Recipient, signer: string, b: RevealedFor, sealed: string): Promise<Entry> {
  const m = parseMessage(fromBase64(sealed))
  const trusted = await parseVerifyKey(signer)
  if (!equal(trusted.id, m.signer)) {
    throw new SealError('signature')
  }
  await verify(trusted.key, await messageDigest(m), m.signature)
  if (!equal(own.public.id, m.recipient)) {
    throw new SealError('open')
  }
  const { notAfter, ...place } = b
  const binding = encodeBinding({ direction: 'reveal', ...place, keyID: own.id, end: unixSeconds(notAfter) })
  const info = fields('secretsbridge message info v1', suiteBytes(m.suite), binding)
  const padded = await own.open(info, m)
  try {
    const bytes = unpad(padded)
    return { kind: isText(bytes) ? 'text' : 'binary', bytes }
  } catch (e) {
    wipe(padded)
    throw e
  }
}

interface Message extends Sealed {
  suite: SuiteName
  recipient: Bytes
  signer: Bytes
  signature: Bytes
}

/** parseMessage returns windows into the bytes. */
function parseMessage(bytes: Bytes): Message {
  if (bytes[0] !== 0x4d) {
    throw new SealError('malformed')
  }
  if (bytes.length > 1 && bytes[1] !== 1) {
    throw new SealError('suite')
  }
  if (bytes.length < encAt) {
    throw new SealError('malformed')
  }
  const suite: SuiteName = 'xwing' // the one that recipients here have
  if (!equal(bytes.subarray(suiteAt, recipientAt), suiteBytes(suite))) {
    throw new SealError('suite')
  }
  const end = bytes.length - signatureSize
  const padded = end - tagSize - encAt - suites[suite].encSize - commitmentSize
  if (padded < 0 || padded > paddedSize(maxValue)) {
    throw new SealError('malformed')
  }
  return {
    suite,
    recipient: bytes.subarray(recipientAt, signerAt),
    signer: bytes.subarray(signerAt, encAt),
    ...split(bytes, suite, encAt, end),
    signature: bytes.subarray(end),
  }
}

/** messageDigest is what the control plane signs of a message. */
async function messageDigest(m: Message): Promise<Bytes> {
  const digest = await sha256(fields(m.header, m.ciphertext))
  return fields('secretsbridge message v1', digest)
}
