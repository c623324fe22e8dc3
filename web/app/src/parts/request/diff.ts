// What a request does to each key, as one row a key: never a value, and never how long one is.
import type { Request } from '../../api/requests'
import { over, type Tone } from '../requestWords'

export interface Row {
  key: string
  sign: '+' | '~' | '−' | '=' | '·'
  tone: Tone
  /** What happens to it: "is added". The sign alone is not for everybody's eyes. */
  says: string
}

type Change = NonNullable<Request['patch']>['changes'][number]
type Effect = NonNullable<Change['effect']>

const effects: Record<Effect, Omit<Row, 'key'>> = {
  added: { sign: '+', tone: 'green', says: 'is added' },
  changed: { sign: '~', tone: 'yellow', says: 'gets another value' },
  removed: { sign: '−', tone: 'red', says: 'is removed' },
  unchanged: { sign: '=', tone: 'gray', says: 'stays as it is' },
}

const asked: Record<Change['action'], string> = { set: 'set', unset: 'removed' }

/** unknown is what is asked for, where nobody has told what it would do. */
function unknown(action: Change['action'], state: Request['state']): Omit<Row, 'key'> {
  const when = state === 'executed' ? 'was' : over(state) ? 'was to be' : 'will be'
  return { sign: '·', tone: 'blue', says: `${when} ${asked[action]}` }
}

/** diff is the rows of a request. Of a read they are the keys that it opens; none means all of the secret. */
export function diff(request: Pick<Request, 'state' | 'operation' | 'keys' | 'patch'>): Row[] {
  if (request.operation === 'read' || !request.patch) {
    return request.keys.map((key) => ({ key, sign: '·', tone: 'blue', says: 'is read' }))
  }
  return request.patch.changes.map(({ key, action, effect }) => ({
    key,
    ...(effect ? effects[effect] : unknown(action, request.state)),
  }))
}

/** total is "1 added, 2 changed" of rows whose effects are known. */
export function total(rows: readonly Row[]): string {
  const words: [Row['sign'], string][] = [
    ['+', 'added'],
    ['~', 'changed'],
    ['−', 'removed'],
    ['=', 'as they are'],
  ]
  return words
    .map(([sign, word]) => [rows.filter((row) => row.sign === sign).length, word] as const)
    .filter(([n]) => n > 0)
    .map(([n, word]) => `${n} ${word}`)
    .join(', ')
}

/** staleness says that the secret is not what it was when people first looked, and what follows from it. */
export function staleness(patch: Request['patch'], over: boolean): string | undefined {
  if (!patch || over) return undefined
  if (patch.voided > 0) {
    return `The secret changed since this was asked for, so ${patch.voided === 1 ? 'an approval' : 'approvals'} given before ${patch.voided === 1 ? 'no longer counts' : 'no longer count'}. Look at the changes again.`
  }
  return patch.changed
    ? 'The secret changed since this was asked for. The changes below are against the secret as it stands now.'
    : undefined
}
