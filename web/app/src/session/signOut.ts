import { answer, api } from '../api/client'
import { Refusal, sentence } from '../api/problem'
import { paths } from '../paths'
import { notify } from '../ui/notices'

const before = new Set<() => Promise<unknown>>()

/** beforeSignOut has something done while there still is a session, such as to send what waits. */
export function beforeSignOut(act: () => Promise<unknown>) {
  before.add(act)
}

/** leave ends sessions, this one among them, and forgets everything in memory by loading the page again. Errors: those of the call. */
export async function leave(end: () => Promise<unknown>): Promise<void> {
  await Promise.allSettled([...before].map((act) => act()))
  try {
    await end()
  } catch (error) {
    const ended = error instanceof Refusal && error.status === 401 // before this call, or by it
    if (!ended) throw error
  }
  window.location.assign(paths.signIn())
}

/** signOut ends this session. Who is still signed in is told so: the next one at this machine would be, too. */
export async function signOut(): Promise<void> {
  try {
    await leave(() => answer(api.DELETE('/sessions/current')))
  } catch (error) {
    notify({ color: 'red', title: 'You may still be signed in', message: sentence(error), autoClose: false })
  }
}
