// Whether this browser has a session, for those who are not told by an answer of their own. The
// session itself is a cookie that no script can read. All tabs have the same one, so each remembers whom
// it was loaded for.

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

let person: string | undefined

/** entered is said when somebody, by their id, has signed in. */
export const entered = (who: string) => {
  person = who
  become('in')
}

/** isFor is said when it is known whom this page is for. From then on it is for nobody else. */
export const isFor = (who: string) => {
  person ??= who
}

/** forWhom is the id of whom this page is for, once that is known. */
export const forWhom = () => person

export const sessionState = {
  get: () => state,
  subscribe(listener: () => void) {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}
