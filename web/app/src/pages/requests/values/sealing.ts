// Values on their way to the server: read from where they were typed, sealed, and forgotten.
import { newKey, type Schema } from '../../../api/client'
import { intake } from '../../../api/intake'
import { codeOf, Refusal, Unreachable } from '../../../api/problem'
import { type ProposedKind, SealError, sealProposal, wipe } from '../../../seal'

export type Proposed = Schema['ProposedChange']

/** Read is a value as it was typed. Whoever asked for it wipes the bytes. */
export interface Read {
  kind: ProposedKind
  bytes: Uint8Array
}

/** Change is what one key of a secret becomes. A set without a value is for another team to fill in. */
export interface Change {
  key: string
  action: 'set' | 'unset'
  /** Reads what was typed. Errors: Fault. */
  value?: () => Promise<Read>
}

/** Fault says what is wrong with what was typed for one key, and nothing of it. */
export class Fault extends Error {
  override name = 'Fault'
  readonly key: string

  constructor(key: string, says: string) {
    super(says)
    this.key = key
  }
}

/** Attempt is one call with its key: what is sealed for it counts for no other one. */
interface Attempt {
  key: string
  changes: Proposed[]
}

/** Sending makes a call happen once, however often somebody presses the button. */
export interface Sending {
  /** Says that something else would be sent now. */
  changed: () => void
  /** Seals the changes of a secret, CONNECTION/REF, and sends them. Errors: Fault, and those of the call. */
  send: <T>(
    to: { secret: string; me: string },
    changes: Change[],
    post: (changes: Proposed[], key: string) => Promise<T>,
  ) => Promise<T>
}

/**
 * newSending keeps what was sealed while nobody knows what became of it, so that the next press sends the
 * same call with the same key. After an answer, and after a change, there is a new one.
 */
export function newSending(): Sending {
  let attempt: Attempt | undefined
  return {
    changed() {
      attempt = undefined
    },
    async send(to, changes, post) {
      for (let round = 1; ; round++) {
        attempt ??= await seal(to, changes)
        try {
          const done = await post(attempt.changes, attempt.key)
          attempt = undefined
          return done
        } catch (error) {
          if (!outcomeUnknown(error)) attempt = undefined
          // The server's keys changed in this moment, so nothing was done.
          if (round > 1 || codeOf(error) !== 'intake_key_unknown') throw error
        }
      }
    },
  }
}

/** outcomeUnknown reports whether the call may have been done. */
function outcomeUnknown(error: unknown): boolean {
  if (error instanceof Refusal) return error.status >= 500 || error.code === 'idempotency_in_flight'
  return error instanceof Unreachable
}

async function seal({ secret, me }: { secret: string; me: string }, changes: Change[]): Promise<Attempt> {
  const key = newKey()
  const made: Proposed[] = []
  if (changes.some(({ value }) => value)) {
    const to = await intake()
    const slash = secret.indexOf('/')
    const place = { request: key, connection: secret.slice(0, slash), ref: secret.slice(slash + 1), me }
    for (const change of changes) {
      if (!change.value) {
        made.push({ key: change.key, action: change.action })
        continue
      }
      const { kind, bytes } = await change.value()
      try {
        const sealed = await sealProposal(to, { ...place, key: change.key }, kind, bytes)
        made.push({ key: change.key, action: 'set', sealed })
      } catch (error) {
        throw faultOf(change.key, kind, error)
      } finally {
        wipe(bytes)
      }
    }
  } else {
    for (const { key: name, action } of changes) made.push({ key: name, action })
  }
  return { key, changes: made }
}

function faultOf(key: string, kind: ProposedKind, error: unknown): unknown {
  if (!(error instanceof SealError)) return error
  if (error.code === 'too_large') return new Fault(key, 'This is too long: a value has 512 KiB at most.')
  if (error.code !== 'value') return error
  return new Fault(
    key,
    kind === 'json'
      ? 'This is no JSON, or only a text: choose Text for those.'
      : 'This is no text in UTF-8. Encode it first, for example as base64.',
  )
}
