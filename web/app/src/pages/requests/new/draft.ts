// A request before it is sent. No value is in it: those stay where they are typed until they are sealed.
import type { Ask, Submit } from '../../../api/asking'
import { codeOf } from '../../../api/problem'
import type { Request } from '../../../api/requests'
import { one, type Search } from '../../../search'
import { Fault, type Proposed } from '../values/sealing'

export type Operation = 'read' | 'change' | 'create'

/** Row is one key of a change. The id is of the form alone. */
export interface Row {
  id: number
  key: string
  action: 'set' | 'unset'
}

export interface Draft {
  /** CONNECTION/REF. */
  secret: string
  operation: Operation
  /** What is read; none means all. */
  keys: string[]
  rows: Row[]
  /** Another team brings the values. */
  fill: { on: boolean; team: string; within: number }
  reason: string
  ticket: string
  /** Without approval. */
  glass: { on: boolean; reason: string }
}

export const emptyRow = (id: number, key = ''): Row => ({ id, key, action: 'set' })

export const emptyDraft: Draft = {
  secret: '',
  operation: 'read',
  keys: [],
  rows: [emptyRow(0)],
  fill: { on: false, team: '', within: 0 },
  reason: '',
  ticket: '',
  glass: { on: false, reason: '' },
}

const operations: Record<string, Operation> = { read: 'read', patch: 'change', change: 'change', create: 'create' }

/** draftOf is what an address starts with. */
export function draftOf(search: Search): Draft {
  return { ...emptyDraft, secret: one(search, 'secret'), operation: operations[one(search, 'operation')] ?? 'read' }
}

/** repeat is the same request again, as somebody made it before. Its values are not known, and nobody's second reason is. */
export function repeat(request: Request): Draft {
  const changes = request.patch?.changes ?? []
  return {
    ...emptyDraft,
    secret: request.secret,
    operation: request.operation === 'read' ? 'read' : request.patch?.create ? 'create' : 'change',
    keys: request.keys,
    rows: changes.length > 0 ? changes.map(({ key, action }, id) => ({ id, key, action })) : emptyDraft.rows,
    fill: { on: request.fill !== undefined, team: request.fill?.team ?? '', within: 0 },
    reason: request.reason,
    ticket: request.ticket ?? '',
  }
}

/** changed reports whether leaving would lose something that was typed. */
export function changed(draft: Draft, from: Draft): boolean {
  return JSON.stringify(draft) !== JSON.stringify(from)
}

/** whole reports whether a text is CONNECTION/REF, so that it is worth asking about. */
export const whole = (secret: string): boolean => /^[a-z][a-z0-9-]{0,39}\/[^\\%]*[^\\%/]$/.test(secret)

/** askOf is what the rules are asked about a draft. */
export function askOf(draft: Draft): Ask {
  const names = draft.operation === 'read' ? draft.keys : draft.rows.map(({ key }) => key.trim()).filter(Boolean)
  return {
    secret: draft.secret.trim(),
    operation: draft.operation === 'read' ? 'read' : 'patch',
    ...(draft.operation === 'create' && { create: true }),
    ...(names.length > 0 && { keys: names }),
  }
}

/** bodyOf is what is sent for a draft, with the changes as they were sealed. */
export function bodyOf(draft: Draft, changes: Proposed[]): Submit {
  const ticket = draft.ticket.trim()
  const said = { reason: draft.reason.trim(), ...(ticket && { ticket }) }
  const secret = draft.secret.trim()
  const glass = draft.glass.on && { break_glass: { reason: draft.glass.reason.trim() } }
  if (draft.operation === 'read') {
    return { secret, ...said, operation: 'read', ...(draft.keys.length > 0 && { keys: draft.keys }), ...glass }
  }
  const { on, team, within } = draft.fill
  return {
    secret,
    ...said,
    operation: 'patch',
    changes,
    ...(draft.operation === 'create' && { create: true }),
    ...(on && { fill: { team: team.trim(), ...(within > 0 && { within_seconds: within }) } }),
    ...(!on && glass),
  }
}

export type Field = 'secret' | 'keys' | 'rows' | 'fill' | 'reason' | 'ticket' | 'glass' | 'form'

const fields: Record<string, Field> = {
  ref_invalid: 'secret',
  connection_unknown: 'secret',
  connection_disabled: 'secret',
  secret_unknown: 'secret',
  secret_gone: 'secret',
  keys_invalid: 'keys',
  changes_invalid: 'rows',
  value_invalid: 'rows',
  fill_invalid: 'fill',
  reason_missing: 'reason',
  reason_too_long: 'reason',
  reason_too_short: 'reason',
  reason_invalid: 'reason',
  reason_pattern: 'reason',
  ticket_invalid: 'ticket',
  break_glass_not_allowed: 'glass',
  break_glass_reason: 'glass',
  review_overdue: 'glass',
}

/** fieldOf is where what went wrong is told. */
export function fieldOf(error: unknown): Field {
  return error instanceof Fault ? 'rows' : (fields[codeOf(error)] ?? 'form')
}

/** missing is what has to be there before anything is sent, in the order of the form. */
export function missing(draft: Draft): { field: Field; says: string }[] {
  const faults: { field: Field; says: string }[] = []
  const fault = (field: Field, says: string) => faults.push({ field, says })
  if (!whole(draft.secret.trim()))
    fault('secret', 'Choose a secret, or write it as connection/path, such as file/prod/db/password.')
  if (draft.operation !== 'read') {
    const names = draft.rows.map(({ key }) => key.trim())
    if (names.some((name) => name === '')) fault('rows', 'Name each key, or take away the row.')
    else if (new Set(names).size < names.length) fault('rows', 'Name each key once.')
    if (draft.fill.on && draft.fill.team.trim() === '') fault('fill', 'Say which team fills in the values.')
  }
  if (draft.reason.trim() === '') fault('reason', 'Say in a sentence why you need this.')
  if (draft.glass.on && draft.glass.reason.trim() === '') fault('glass', 'Say why it cannot wait for approval.')
  return faults
}
