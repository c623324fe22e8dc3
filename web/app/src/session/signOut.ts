import { answer, api } from '../api/client'
import { paths } from '../paths'

const before = new Set<() => Promise<unknown>>()

/** beforeSignOut has something done while there still is a session, such as to send what waits. */
export function beforeSignOut(act: () => Promise<unknown>) {
  before.add(act)
}

/** signOut ends this session and forgets everything in memory by loading the page again. */
export async function signOut(): Promise<void> {
  try {
    await Promise.allSettled([...before].map((act) => act()))
    await answer(api.DELETE('/sessions/current'))
  } finally {
    window.location.assign(paths.signIn())
  }
}
