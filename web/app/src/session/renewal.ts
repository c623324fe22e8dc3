// A browser's session ends soon after its last renewal; this renews it while somebody is there.
import { answer, api } from '../api/client'

/** A renewal a minute at most: the server's idle end is many of them. */
const every = 60_000

/** What says that somebody is there. */
const signs = ['pointerdown', 'keydown', 'wheel', 'touchstart'] as const

/** keepAlive renews the session at once, and with each sign of a person, until it is told to stop. */
export function keepAlive(): () => void {
  let last = 0
  const renew = () => {
    const now = Date.now()
    if (now - last < every || document.visibilityState === 'hidden') return
    last = now
    // An ended session is told to everybody by the client; a broken line mends itself with the next sign.
    answer(api.POST('/sessions/current/renew', { body: {} })).then(
      (session) => clock.set(Date.parse(session.now), now, Date.now()),
      () => undefined,
    )
  }
  renew()
  for (const sign of signs) window.addEventListener(sign, renew, { passive: true })
  document.addEventListener('visibilitychange', renew)
  return () => {
    for (const sign of signs) window.removeEventListener(sign, renew)
    document.removeEventListener('visibilitychange', renew)
  }
}

let offset = 0

/** The server's clock: every end and every countdown is its time, not this machine's. */
export const clock = {
  /** set takes what the server's clock said between two moments of this machine's, in milliseconds. */
  set(server: number, sent: number, received: number) {
    if (Number.isFinite(server)) offset = server - (sent + received) / 2
  },
  now: () => Date.now() + offset,
}
