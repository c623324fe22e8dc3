import { unixSeconds } from './binding'
import { fromBase64 } from './bytes'
import { SealError } from './errors'
import { parseRecipientPublic, parseVerifyKey, type RecipientPublic } from './keys'
import { statement, verify } from './signature'

/** Separates signatures of intake keys from all others of the same key. */
const intakeDomain = 'secrets-bridge intake keys v1'

/** IntakeAnswer is what `GET /intake` says. */
export interface IntakeAnswer {
  intake_keys: string // base64 of JSON: keys, in order of preference, and not_after
  signing_key: string
  signature: string // base64, over exactly the bytes of intake_keys
}

/** Intake is a key of the control plane that values may be sealed to, and who vouches for it. */
export interface Intake {
  to: RecipientPublic
  signer: string // as printed: what openRevealed wants, and what a caller holds against an earlier one
  notAfter: Date // exclusive
}

/**
 * openIntake checks who signed the keys and returns the first one of a suite that this
 * version knows. Keys that have ended are `expired`: old ones, sent again by somebody on
 * the way, would be signed as well. Keys of unknown suites alone are `suite`.
 *
 * The signature shows that keys and signer belong together. That the signer is the server
 * follows from TLS alone, unless the caller knows the signer from before.
 */
export async function openIntake(answer: IntakeAnswer, now: Date): Promise<Intake> {
  const text = fromBase64(answer.intake_keys)
  const signature = fromBase64(answer.signature)
  const signer = await parseVerifyKey(answer.signing_key)
  await verify(signer.key, statement(intakeDomain, text), signature)
  const said = readKeys(new TextDecoder().decode(text))
  if (now.getTime() >= said.notAfter.getTime()) {
    throw new SealError('expired')
  }
  for (const key of said.keys) {
    const to = await parseRecipientPublic(key).catch(() => undefined)
    if (to) {
      return { to, signer: answer.signing_key, notAfter: said.notAfter }
    }
  }
  throw new SealError('suite')
}

function readKeys(text: string): { keys: string[]; notAfter: Date } {
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    throw new SealError('malformed')
  }
  const { keys, not_after } = (said ?? {}) as { keys?: unknown; not_after?: unknown }
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string') || typeof not_after !== 'string') {
    throw new SealError('malformed')
  }
  return { keys, notAfter: new Date(unixSeconds(not_after) * 1000) }
}
