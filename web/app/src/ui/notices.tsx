// Messages that come up over a page. Their code is loaded with the first one.
import type { NotificationData } from '@mantine/notifications'
import { lazy, Suspense, useSyncExternalStore } from 'react'

const load = () => import('@mantine/notifications')
const Notifications = lazy(() => load().then((part) => ({ default: part.Notifications })))

let wanted = false
const listeners = new Set<() => void>()

function subscribe(listener: () => void) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** notify shows a message. Who gives it an id can take it away. */
export function notify(message: NotificationData & { id?: string }) {
  wanted = true
  for (const listener of listeners) listener()
  load().then(
    ({ notifications }) => notifications.show({ closeButtonProps: { 'aria-label': 'Close this message' }, ...message }),
    () => undefined, // there is no line to load it by
  )
}

/** prepare loads what shows messages, for those that come when there is no line. */
export function prepare() {
  load().catch(() => undefined) // the next message tries again
}

/** dismiss takes a message away. */
export function dismiss(id: string) {
  load().then(
    ({ notifications }) => notifications.hide(id),
    () => undefined,
  )
}

/** Where messages come up. */
export function Notices() {
  const shown = useSyncExternalStore(subscribe, () => wanted)
  return <Suspense>{shown && <Notifications position="bottom-right" />}</Suspense>
}
