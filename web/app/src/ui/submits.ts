import type { FormEvent } from 'react'

/** submits is what a form does when it is sent: act, in place of what the browser would do. */
export function submits(act: () => Promise<unknown>) {
  return (event: FormEvent) => {
    event.preventDefault()
    void act()
  }
}
