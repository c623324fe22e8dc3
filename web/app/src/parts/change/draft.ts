// A draft of one object: what it says now, what it said when it was opened, and what happens to it.
import type { Kind, Spec, Thing } from '../../api/governance'
import { type Path, put, same } from './put'

export interface Draft {
  kind: Kind
  name: string
  spec: Spec
  /** What counted when the draft was begun; nothing for a new object. */
  base: Spec | undefined
}

export type Action =
  | { do: 'put'; path: Path; value: unknown }
  | { do: 'rename'; name: string }
  | { do: 'replace'; name: string; spec: Spec }
  | { do: 'follow'; theirs: Spec }

export const draftOf = (thing: Thing): Draft => ({ ...thing, base: thing.spec })

export const newDraft = (kind: Kind, spec: Spec, name = ''): Draft => ({ kind, name, spec, base: undefined })

/** changed reports whether there is anything to review. */
export const changed = (draft: Draft): boolean => draft.base === undefined || !same(draft.spec, draft.base)

/** decide is a draft after something was done to it. The name of an object that exists stays. */
export function decide(draft: Draft, action: Action): Draft {
  switch (action.do) {
    case 'put':
      return { ...draft, spec: put(draft.spec, action.path, action.value) }
    case 'rename':
      return draft.base === undefined ? { ...draft, name: action.name } : draft
    case 'replace':
      return { ...draft, spec: action.spec, name: draft.base === undefined ? action.name : draft.name }
    case 'follow':
      return { ...draft, spec: merge(draft.base ?? {}, draft.spec, action.theirs), base: action.theirs }
  }
}

/** merge takes over what others changed in fields that the draft left alone; where both did, the draft's word stays. */
export function merge(base: Spec, mine: Spec, theirs: Spec): Spec {
  const merged: Spec = {}
  for (const field of new Set([...Object.keys(theirs), ...Object.keys(mine)])) {
    const value = same(mine[field], base[field]) ? theirs[field] : mine[field]
    if (value !== undefined) merged[field] = value
  }
  return merged
}
