import { wipe } from '../../../seal'
import { clock } from '../../../session/renewal'
import { type Event, holds, type State, start, step } from './machine'

/** How often the time that is left is counted, in milliseconds. */
const beat = 250

/** Reveal runs the machine for one value: it tells listeners, counts, and wipes what a step lets go of. */
export interface Reveal {
  get: () => State
  subscribe: (listener: () => void) => () => void
  send: (event: Event) => void
  /** Ends it, whatever it was doing. Its listeners are the caller's to take away. */
  stop: () => void
}

/** newReveal makes one. The value lives here and nowhere else, and only as bytes. */
export function newReveal(now: () => number = clock.now): Reveal {
  let state = start
  let timer: ReturnType<typeof setInterval> | undefined
  const listeners = new Set<() => void>()

  const send = (event: Event) => {
    const before = state
    state = step(before, event)
    const kept = holds(state) ? state.value.bytes : undefined
    // Also a value that comes when nobody waits for it any more.
    const there = [
      holds(before) ? before.value.bytes : undefined,
      event.is === 'arrived' ? event.value.bytes : undefined,
    ]
    for (const bytes of there) if (bytes && bytes !== kept) wipe(bytes)
    watch(holds(state))
    if (state !== before) for (const listener of listeners) listener()
  }

  const hide = () => send({ is: 'hide', now: now() })
  const hidden = () => document.visibilityState === 'hidden' && hide()
  const leave = () => send({ is: 'leave' })
  // Out of sight of whoever opened it, it is out of sight of everybody.
  const watch = (needed: boolean) => {
    if (needed === (timer !== undefined)) return
    if (needed) {
      timer = setInterval(() => send({ is: 'tick', now: now() }), beat)
      window.addEventListener('blur', hide)
      document.addEventListener('visibilitychange', hidden)
      window.addEventListener('pagehide', leave)
    } else {
      clearInterval(timer)
      timer = undefined
      window.removeEventListener('blur', hide)
      document.removeEventListener('visibilitychange', hidden)
      window.removeEventListener('pagehide', leave)
    }
  }

  return {
    get: () => state,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    send,
    stop: leave,
  }
}
