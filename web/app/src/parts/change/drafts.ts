// Drafts that are under way. They live in memory alone: looking at another page loses none, closing the
// browser loses all.
import { useSyncExternalStore } from 'react'
import type { Kind } from '../../api/governance'
import { type Action, changed, type Draft, decide } from './draft'

const drafts = new Map<string, Draft>()
const listeners = new Set<() => void>()
let count = 0

const keyOf = (kind: Kind, name: string) => `${kind}/${name}`

function tell() {
  count++
  for (const listener of listeners) listener()
}

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** useDraft is the draft of an object, begun from what is there until it is changed. New ones are told apart by what they begin with. */
export function useDraft(begin: Draft): [Draft, (action: Action) => void, () => void] {
  const key = keyOf(begin.kind, begin.base === undefined ? `/${JSON.stringify(begin.spec)}` : begin.name)
  const kept = useSyncExternalStore(subscribe, () => drafts.get(key))
  const draft = kept ?? begin
  const act = (action: Action) => {
    const next = decide(drafts.get(key) ?? begin, action)
    if (next.base !== undefined && !changed(next)) drafts.delete(key)
    else drafts.set(key, next)
    tell()
  }
  const drop = () => {
    drafts.delete(key)
    tell()
  }
  return [draft, act, drop]
}

/** useDrafted reports which objects of a kind have a draft. */
export function useDrafted(kind: Kind): (name: string) => boolean {
  useSyncExternalStore(subscribe, () => count)
  return (name) => drafts.has(keyOf(kind, name))
}
