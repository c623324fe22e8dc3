import type { Scope } from '../api/governance'

/** A scope as somebody types it: empty fields narrow nothing. */
export type ScopeText = { [Field in keyof Scope]?: string }

/** bare is the scope without the fields that are empty. */
export function bare(scope: ScopeText): Scope {
  return Object.fromEntries(Object.entries(scope).filter(([, value]) => value)) as Scope
}
