// Keys that work all over a page. They are off while somebody types or a dialog is open, and with
// Ctrl, Alt or Meta they are the browser's.
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useLayoutEffect, useRef, useSyncExternalStore } from 'react'
import { sections } from './sections'

export interface Shortcut {
  /** As KeyboardEvent.key has it: `j`, `A` for shift and a, `?`, `ArrowDown`. Several do the same. */
  keys: string[]
  /** What it does, as the sheet of keys says it: "Approve". */
  does: string
  /** Does it. `false` leaves the key to others, and to the browser. */
  run: () => unknown
}

export interface Group {
  title: string
  shortcuts: Pick<Shortcut, 'keys' | 'does'>[]
}

/** How long the second key of "g i" may take, in milliseconds. */
const pause = 1_500

/** How many dialogs are about to open: what is typed by then is meant for them. */
let muted = 0

/** useMuted turns the keys of a page off. */
export function useMuted(off: boolean) {
  useLayoutEffect(() => {
    if (!off) return
    muted++
    return () => {
      muted--
    }
  }, [off])
}

/** typing reports whether a key belongs to what has the focus, or to a dialog. */
export function typing(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return true
  const target = event.target
  if (muted > 0 || document.querySelector('[aria-modal="true"], [role="menu"], [role="listbox"]')) return true
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches('input:not([type="checkbox"]), textarea, select'))
  )
}

let groups: readonly Group[] = []
const listeners = new Set<() => void>()

function become(next: readonly Group[]) {
  groups = next
  for (const listener of listeners) listener()
}

/** useKeyGroups are all keys that do something now. */
export function useKeyGroups(): readonly Group[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => groups,
  )
}

/** useKeys makes keys do something while the component is there, and has the sheet of keys list them. */
export function useKeys(title: string, shortcuts: Shortcut[]) {
  const now = useRef(shortcuts)
  now.current = shortcuts
  const listed = shortcuts.map(({ keys, does }) => `${keys.join(' ')}\n${does}`).join('\n\n')
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is listed stands for the shortcuts
  useEffect(() => {
    const group = { title, shortcuts: now.current }
    become([...groups, group])
    return () => become(groups.filter((other) => other !== group))
  }, [title, listed])
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (typing(event)) return
      const found = now.current.find((shortcut) => shortcut.keys.includes(event.key))
      if (found && found.run() !== false) event.preventDefault()
    }
    window.addEventListener('keydown', onKeyDown)
    return () => window.removeEventListener('keydown', onKeyDown)
  }, [])
}

/** useGo makes "g" and a letter go to a section. It comes before the page's own keys. */
export function useGo() {
  const navigate = useNavigate()
  const begun = useRef(Number.NEGATIVE_INFINITY)
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (typing(event)) return
      const second = event.timeStamp - begun.current < pause
      begun.current = Number.NEGATIVE_INFINITY
      const to = second && sections.flatMap((group) => group.items).find((section) => section.go === event.key)?.to
      if (to) void navigate({ to })
      else if (event.key === 'g' && !second) begun.current = event.timeStamp
      else return
      event.preventDefault() // also tells the page's own keys that it is not for them
    }
    window.addEventListener('keydown', onKeyDown, { capture: true })
    return () => window.removeEventListener('keydown', onKeyDown, { capture: true })
  }, [navigate])
}
