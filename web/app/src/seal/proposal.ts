import { encodeBinding } from './binding'
import { concat, fields, toBase64, utf8, wipe } from './bytes'
import { encodeEntry, type ProposedKind } from './entry'
import { sealTo } from './hpke'
import type { Intake } from './intake'
import { keyID, suiteBytes } from './keys'
import { pad } from './padding'

/** ProposedFor is what a proposed value is bound to. */
export interface ProposedFor {
  request: string // Idempotency-Key of the call that brings it
  key: string // key name inside the secret
  connection: string
  ref: string
  me: string // id of whoever is signed in
}

/**
 * sealProposal seals a value for one key of one call: base64 of a proposal. It throws
 * `value` for what cannot be written as that kind, `too_large`, and `binding` where a field
 * is empty. The caller keeps the value and wipes it; a lone surrogate in a text has
 * become U+FFFD before it gets here, so whoever encodes it asks `isWellFormed` first.
 */
export async function sealProposal(to: Intake, b: ProposedFor, kind: ProposedKind, value: Uint8Array): Promise<string> {
  const suite = suiteBytes(to.to.suite)
  const binding = encodeBinding({ direction: 'propose', ...b, keyID: keyID(to.to) })
  const entry = encodeEntry(kind, value)
  const padded = pad(entry)
  try {
    const info = fields('secretsbridge proposal info v1', suite, binding)
    const prefix = concat(utf8('P'), Uint8Array.of(1), suite, to.to.id)
    return toBase64(await sealTo(to.to, info, prefix, padded))
  } finally {
    wipe(entry, padded)
  }
}
