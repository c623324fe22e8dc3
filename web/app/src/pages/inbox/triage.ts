// What waits for somebody, in the order in which it is shown, and how one moves through it.
import type { Request } from '../../api/requests'

export type Kind = 'decide' | 'values' | 'review' | 'ready'

/** The parts of the inbox, in their order. */
export const kinds: Record<Kind, string> = {
  decide: 'Waiting for your decision',
  values: 'Values to fill in',
  review: 'To review',
  ready: 'Ready for you to open',
}

/** kindOf says what somebody is to do with a request of their inbox, if anything. */
export function kindOf({ actions, state }: Request): Kind | undefined {
  if (actions.approve.allowed || actions.reject.allowed) return 'decide'
  if (actions.provide.allowed || actions.refuse.allowed) return 'values'
  if (actions.review.allowed) return 'review'
  if (actions.reveal.allowed) return 'ready'
  // It is asked of them, and yet they cannot: the server says why where it is opened.
  return state === 'pending' ? 'decide' : undefined
}

export interface Part {
  kind: Kind
  requests: Request[]
}

/** parts are the requests by what is to be done. What is on its way is left out, and so is what does not fit the text. */
export function parts(requests: readonly Request[], text: string, gone: ReadonlySet<string>): Part[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  const found: Record<Kind, Map<string, Request>> = {
    decide: new Map(),
    values: new Map(),
    review: new Map(),
    ready: new Map(),
  }
  for (const request of requests) {
    const kind = kindOf(request)
    if (!kind || gone.has(request.id) || !words.every((word) => haystack(request).includes(word))) continue
    found[kind].set(request.id, request)
  }
  return (Object.keys(kinds) as Kind[])
    .map((kind) => ({ kind, requests: [...found[kind].values()] }))
    .filter((part) => part.requests.length > 0)
}

function haystack({ requester, secret, reason, ticket, place, keys }: Request): string {
  return [requester.name, secret, reason, ticket, place.project, place.environment, place.team, place.owner, ...keys]
    .join('\n')
    .toLowerCase()
}

/**
 * beside is the request that lies some steps from another one, never beyond the ends. `last` is where the
 * other one was before it left the list: then its place is that of whatever moved up.
 */
export function beside(shown: readonly Request[], from: string | undefined, by: number, last = 0): Request | undefined {
  const at = shown.findIndex((request) => request.id === from)
  const to = at >= 0 ? at + by : by > 0 ? last + by - 1 : last + by
  return shown[Math.max(0, Math.min(shown.length - 1, to))]
}

/** afterwards is what comes next when these are done with: the first that follows, or else the last that is left. */
export function afterwards(
  shown: readonly Request[],
  at: string | undefined,
  done: ReadonlySet<string>,
): Request | undefined {
  const from = shown.findIndex((request) => request.id === at)
  const left = (request: Request) => !done.has(request.id)
  return shown.slice(from + 1).find(left) ?? shown.slice(0, Math.max(0, from)).findLast(left)
}

/** whyNotTogether says why requests cannot be approved in one go. */
export function whyNotTogether(picked: readonly Request[]): string | undefined {
  if (picked.length === 0) return 'Select requests first, with X or their boxes.'
  const not = picked.filter((request) => !request.actions.approve.allowed).length
  if (not > 0) return `You cannot approve ${not === picked.length ? 'these' : `${not} of these`}.`
  if (picked.some((request) => request.patch)) return 'Changes are approved one by one: each has to be looked at.'
  if (picked.some((request) => request.actions.approve.step_up)) {
    return 'Some of these need your second factor, so they are approved one by one.'
  }
  const ways = new Set(picked.map((request) => `${request.rule} ${request.workflow}`))
  if (ways.size > 1) return 'These are under different rules. Approve those of one rule together.'
  return undefined
}
