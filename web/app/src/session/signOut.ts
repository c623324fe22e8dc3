import { answer, api } from '../api/client'
import { Refusal, sentence } from '../api/problem'
import { paths } from '../paths'
import { notify } from '../ui/notices'

const before = new Set<() => Promise<unknown>>()

/** beforeSignOut has something done while there still is a session, such as to send what waits. */
export function beforeSignOut(act: () => Promise<unknown>) {
  before.add(act)
}

/**
 * leave ends sessions, this one among them, and forgets everything in memory by loading another page: the
 * one that `end` says, or that of the sign-in. Errors: those of the call.
 */
export async function leave(end: () => Promise<string | undefined>): Promise<void> {
  await Promise.allSettled([...before].map((act) => act()))
  let to: string | undefined
  try {
    to = await end()
  } catch (error) {
    const ended = error instanceof Refusal && error.status === 401 // before this call, or by it
    if (!ended) throw error
  }
  window.location.assign(to ?? paths.signIn())
}

/** signOut ends this session. Who is still signed in is told so: the next one at this machine would be, too. */
export async function signOut(): Promise<void> {
  try {
    await leave(endThis)
  } catch (error) {
    notify({ color: 'red', title: 'You may still be signed in', message: sentence(error), autoClose: false })
  }
}

/** endThis ends this session, and answers where the one at the identity provider ends that it came of. */
async function endThis(): Promise<string | undefined> {
  const { sso } = await answer(api.GET('/auth/methods'))
  if (!sso) {
    await answer(api.DELETE('/sessions/current'))
    return undefined
  }
  const { end_session_url } = await answer(api.POST('/auth/oidc/logout'))
  return end_session_url !== undefined && ofProvider(end_session_url) ? end_session_url : undefined
}

/** A session by password has nothing to end there, and so no hint of whose it is (RP-Initiated Logout 1.0, section 2). */
function ofProvider(address: string): boolean {
  const { protocol, searchParams } = new URL(address)
  return protocol === 'https:' && searchParams.has('id_token_hint')
}
