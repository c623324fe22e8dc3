// Verdicts on their way: each can be taken back for a moment, is then sent, and is told of until it is
// known what became of it. They live longer than the page that they were given on.
import type { QueryClient } from '@tanstack/react-query'
import { useSyncExternalStore } from 'react'
import { liveState } from '../../../api/live'
import { type Entry, makeOutbox, type Verdict } from '../../../api/outbox'
import { Refusal, sentence, Unreachable } from '../../../api/problem'
import { approve, reject, requestQuery } from '../../../api/requests'
import { beforeSignOut } from '../../../session/signOut'
import { sessionState } from '../../../session/state'
import { NotProved, withStepUp } from '../../../session/stepUp'
import { meQuery } from '../../../session/who'
import { notify } from '../../../ui/notices'
import { meanwhile } from './meanwhile'

/** How long a verdict can be taken back, in milliseconds. */
export const delay = 5_000

/** How long after a broken line a verdict is sent again, in milliseconds. */
const patience = 4_000

let cache: QueryClient | undefined

/** Which verdicts need a proof before they are sent, by their key. */
const proves = new Set<string>()

/** What a server says that did not get to it: then the verdict waits and is sent again. */
const notNow = ['not_signed_in', 'session_expired', 'token_refused', 'too_many_requests', 'idempotency_in_flight']

const outbox = makeOutbox({
  delay,
  patience,
  unheard: (error) =>
    error instanceof Unreachable || (error instanceof Refusal && (error.status >= 500 || notNow.includes(error.code))),
  async send(verdict, leaving) {
    // Whoever signs in next may be somebody else: nothing is sent before it is known who it is.
    if (sessionState.get() !== 'in') throw new Unreachable()
    const how = { key: verdict.key, keepalive: leaving }
    const call = () =>
      verdict.says === 'approve' ? approve(verdict.request, verdict, how) : reject(verdict.request, verdict, how)
    const first = proves.delete(verdict.key)
    await (leaving ? call() : withStepUp(call, first))
  },
  async settled(verdict, error) {
    if (error !== undefined) await tellRefused(verdict, error)
    await cache?.invalidateQueries({ queryKey: ['requests'] })
  },
})

async function tellRefused({ request: id, says }: Verdict, error: unknown) {
  const word = says === 'approve' ? 'approval' : 'denial'
  const now = await cache?.fetchQuery({ ...requestQuery(id), staleTime: 0 }).catch(() => undefined)
  const happened = now && meanwhile(now, cache?.getQueryData(meQuery.queryKey)?.id ?? '')
  const asked = now ? `${now.requester.name || 'Somebody'} and ${now.secret}: ` : ''
  notify({
    color: error instanceof NotProved ? 'yellow' : 'red',
    title: error instanceof NotProved ? `Your ${word} was not sent` : `Your ${word} was not taken`,
    message: `${asked}${[happened, sentence(error)].filter(Boolean).join(' ')}`,
    autoClose: false,
  })
}

const leave = () => void outbox.flush(true)
window.addEventListener('pagehide', leave) // on phones there is nothing before it
window.addEventListener('beforeunload', (event) => {
  leave()
  if (outbox.get().some((entry) => entry.phase === 'held')) event.preventDefault() // asks whether to leave
})
beforeSignOut(() => outbox.flush())
for (const state of [sessionState, liveState]) state.subscribe(() => outbox.resume())
window.addEventListener('online', () => outbox.resume())

/** say takes verdicts, and answers with the id of the entry. `proof`: the server will ask for a second factor. */
export function say(verdicts: readonly Verdict[], proof: boolean, told: QueryClient): string {
  cache = told
  if (proof) for (const verdict of verdicts) proves.add(verdict.key)
  return outbox.say(verdicts, proof)
}

/** useEntries are the verdicts that are on their way. */
export const useEntries = (): readonly Entry[] => useSyncExternalStore(outbox.subscribe, outbox.get)

/** undo takes back an entry, and reports whether there still was time for it. */
export const undo = outbox.undo

/** undoLast takes back the verdict that was given last. */
export function undoLast() {
  const last = outbox.get().findLast((entry) => entry.phase === 'waiting')
  if (last) outbox.undo(last.id)
}

/** useOnItsWay is the verdict on a request that was given and is not known to have been done. */
export function useOnItsWay(id: string): { entry: Entry; verdict: Verdict } | undefined {
  const entries = useEntries()
  for (const entry of entries) {
    const verdict = entry.verdicts.find((other) => other.request === id)
    if (verdict) return { entry, verdict }
  }
  return undefined
}
