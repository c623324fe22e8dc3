// What changed, as the server tells it: topics, never data. Whoever shows a topic asks again through
// the API, so that what somebody may see is decided in one place.
import type { QueryClient } from '@tanstack/react-query'
import { prefix } from './client'

export type LiveState = 'connecting' | 'live' | 'reconnecting'

/** The server says something every 5 s at least; after twice that, silence is a broken line. */
const silence = 12_000

/** The first wait before another try, in milliseconds. It doubles up to half a minute. */
const patience = 1_000

let state: LiveState = 'connecting'
const listeners = new Set<() => void>()

function become(next: LiveState) {
  if (next === state) return
  state = next
  for (const listener of listeners) listener()
}

export const liveState = {
  get: () => state,
  subscribe(listener: () => void) {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}

/** follow keeps a cache fresh until it is told to stop. */
export function follow(cache: QueryClient): () => void {
  let source: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let failures = 0
  let over = false

  const heard = () => {
    failures = 0
    become('live')
    clearTimeout(timer)
    timer = setTimeout(again, silence)
  }
  const again = () => {
    source?.close()
    clearTimeout(timer)
    if (over) return
    become('reconnecting')
    timer = setTimeout(open, Math.min(patience * 2 ** failures++, 30_000))
  }
  const open = () => {
    clearTimeout(timer)
    timer = setTimeout(again, silence)
    // A new EventSource knows no last event: it is told that it is ready, and then everything is asked again.
    source = new EventSource(`${prefix}/live`)
    source.addEventListener('ready', () => {
      if (state === 'reconnecting') void cache.invalidateQueries()
      heard()
    })
    source.addEventListener('reset', () => {
      void cache.invalidateQueries()
      heard()
    })
    source.addEventListener('beat', heard)
    source.addEventListener('change', (event) => {
      heard()
      for (const topic of topicsOf(event.data)) void cache.invalidateQueries({ queryKey: [topic] as never })
    })
    source.addEventListener('error', () => {
      if (source?.readyState !== EventSource.CLOSED) return become('reconnecting')
      // It was refused, and does not say why. An answer does: the session may have ended.
      void cache.invalidateQueries({ queryKey: ['me'], exact: true })
      again()
    })
  }

  open()
  window.addEventListener('online', again)
  return () => {
    over = true
    window.removeEventListener('online', again)
    clearTimeout(timer)
    source?.close()
    become('connecting')
  }
}

export function topicsOf(data: unknown): string[] {
  try {
    const said: unknown = JSON.parse(String(data))
    if (typeof said !== 'object' || said === null || !('topics' in said) || !Array.isArray(said.topics)) return []
    return said.topics.filter((topic): topic is string => typeof topic === 'string')
  } catch {
    return []
  }
}
