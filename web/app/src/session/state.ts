// Whether this browser has a session, for those who are not told by an answer of their own. The
// session itself is a cookie that no script can read.

type State = 'in' | 'expired'

let state: State = 'in'
const listeners = new Set<() => void>()

function become(next: State) {
  if (state === next) return
  state = next
  for (const listener of listeners) listener()
}

/** expired is said when the server no longer knows the session. */
export const expired = () => become('expired')

/** entered is said when somebody has signed in. */
export const entered = () => become('in')

export const sessionState = {
  get: () => state,
  subscribe(listener: () => void) {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}
