import { type Bytes, fields, u64 } from './bytes'
import { SealError } from './errors'

/**
 * What gives a sealed value its meaning. It does not travel with the value: both ends know
 * it, and opening fails if one field differs. The table is in docs/security/envelopes.md;
 * a browser meets two of its directions.
 */
export type Binding = Propose | Reveal

/** Propose is a value on its way to the control plane, before there is a request. */
interface Propose extends Place {
  direction: 'propose'
}

/** Reveal is a value on its way to its requester. */
interface Reveal extends Place {
  direction: 'reveal'
  envelope: string
  end: number // Unix seconds, exclusive
}

interface Place {
  request: string // id of the request; of propose, the Idempotency-Key of the call
  key: string // key name inside the secret
  connection: string // id of the connection
  ref: string // cleaned path inside the connection
  me: string // id of the person at this end
  keyID: string // of the key that the value is sealed to, 64 hexadecimal digits
}

/** encodeBinding is the one encoding there is. A field that is empty is `binding`. */
export function encodeBinding(b: Binding): Bytes {
  const needed = [b.request, b.key, b.connection, b.ref, b.me, b.keyID]
  if (needed.includes('') || (b.direction === 'reveal' && (b.envelope === '' || b.end <= 0))) {
    throw new SealError('binding')
  }
  const [envelope, end] = b.direction === 'reveal' ? [b.envelope, b.end] : ['', 0]
  return fields(
    'secretsbridge binding v1',
    b.direction,
    b.request,
    envelope,
    '', // job: not of these directions
    u64(0), // attempt: likewise
    b.key,
    b.connection,
    b.ref,
    b.me,
    b.keyID,
    u64(end),
  )
}

/**
 * unixSeconds reads a time of RFC 3339, as the API has them. What is finer than a second is
 * cut off, as bindings do. What is none is `malformed`. `Date` alone would take more
 * spellings, and not the same in each browser.
 */
export function unixSeconds(text: string): number {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(text)
  const milliseconds = parts ? Date.parse(`${parts[1]}${parts[2]}`) : Number.NaN
  if (Number.isNaN(milliseconds)) {
    throw new SealError('malformed')
  }
  return milliseconds / 1000
}
