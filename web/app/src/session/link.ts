// An invitation or reset link looks like https://HOST/#link=TOKEN. What is behind # is never sent; the
// token is taken out of the address before anything else runs, and stays in memory alone.
import { paths } from '../paths'

let token: string | undefined

/** takeLink moves the token of the page's address into memory, and leads to the page that uses it. */
export function takeLink(): void {
  const found = new URLSearchParams(window.location.hash.slice(1)).get('link')
  if (found === null) return
  token = found
  window.history.replaceState(null, '', paths.signIn())
}

/** link is the token that this page was opened with. */
export const link = (): string | undefined => token

/** dropLink forgets it: it was used, or is worth nothing. */
export function dropLink(): void {
  token = undefined
}
