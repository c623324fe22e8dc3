import { answer, api } from '../api/client'
import { paths } from '../paths'

/** signOut ends this session and forgets everything in memory by loading the page again. */
export async function signOut(): Promise<void> {
  try {
    await answer(api.DELETE('/sessions/current'))
  } finally {
    window.location.assign(paths.signIn())
  }
}
