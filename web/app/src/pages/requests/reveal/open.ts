import { answer, api, newKey } from '../../../api/client'
import { intake } from '../../../api/intake'
import { Refusal, sentence } from '../../../api/problem'
import type { Envelope, Request } from '../../../api/requests'
import { type Entry, newRecipient, openRevealed, SealError } from '../../../seal'

/** What a refused call means for the value. */
export interface Unopened {
  says: string
  /** To try again is worth it. */
  again: boolean
  /** There is no value any more. */
  used: boolean
}

/** Codes after which there is no value any more, or none for this person. */
const final = new Set([
  'already_revealed',
  'envelope_expired',
  'envelope_lost',
  'envelope_unreadable',
  'envelope_unknown',
  'nothing_to_reveal',
  'reveal_not_allowed',
  'policy_denied',
  'factor_missing',
])

/**
 * openEnvelope uses an envelope up and returns its value, which is the caller's to wipe. What the server
 * sends is sealed to a key of this call alone. It says when it calls: from then on the value may be used up.
 */
export async function openEnvelope(
  request: Request,
  envelope: Envelope,
  me: string,
  calling: () => void,
): Promise<{ value: Entry; end: number }> {
  // All that opening needs is here before a value is used up: the key, and who the server is.
  const own = await newRecipient()
  const { signer } = await intake()
  calling()
  const revealed = await answer(
    api.POST('/requests/{id}/envelopes/{envelope}/reveal', {
      params: { path: { id: request.id, envelope: envelope.id }, header: { 'Idempotency-Key': newKey() } },
      body: { recipient: own.text },
    }),
  )
  const bound = {
    request: request.id,
    envelope: envelope.id,
    key: revealed.key,
    connection: request.connection,
    ref: request.ref,
    me,
    notAfter: revealed.not_after,
  }
  return { value: await openRevealed(own, signer, bound, revealed.sealed), end: Date.parse(revealed.not_after) }
}

/** meaning is what an error says about the value, for a call that was made or was not. Nothing of the value is in it. */
export function meaning(error: unknown, called: boolean): Unopened {
  if (error instanceof Refusal) {
    return { says: sentence(error), again: !final.has(error.code), used: error.status === 410 }
  }
  if (error instanceof SealError && called) {
    return {
      says: 'What the server sealed does not open: somebody on the way may have changed it. The value is used up. Tell a security team, and ask for it again.',
      again: false,
      used: true,
    }
  }
  if (error instanceof SealError) {
    return { says: `${sentence(error)} Nothing was used up.`, again: error.code === 'expired', used: false }
  }
  return {
    says: called
      ? 'No answer came. If the value was on its way it is lost: try again, and the server says whether it was used up.'
      : 'The server cannot be reached. Nothing was used up.',
    again: true,
    used: false,
  }
}
