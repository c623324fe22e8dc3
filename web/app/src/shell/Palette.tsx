import { useHotkeys } from '@mantine/hooks'
import { useRouterState } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useSyncExternalStore } from 'react'
import { visited } from './palette/recent'

const Dialog = lazy(() => import('./palette/PaletteDialog').then((part) => ({ default: part.PaletteDialog })))

/** How often it was asked for: the first time brings its code, each time opens it. */
let asked = 0
const listeners = new Set<() => void>()

/** openPalette opens the search over everything that can be gone to or done. */
export function openPalette() {
  asked++
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void) {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** What Ctrl K opens. It stays out of the way of other dialogs. */
export function Palette() {
  const times = useSyncExternalStore(subscribe, () => asked)
  const at = useRouterState({ select: (state) => state.location.pathname })
  useEffect(() => visited(at), [at])
  useHotkeys([['mod+K', () => document.querySelector('[aria-modal="true"]') || openPalette()]], [])
  if (times === 0) return null
  return (
    <Suspense>
      <Dialog asked={times} />
    </Suspense>
  )
}
