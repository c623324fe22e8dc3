import { Text, type TextProps, Tooltip } from '@mantine/core'
import { useSyncExternalStore } from 'react'
import { ago, exact, span } from './time'

// One clock for all times on the screen: it ticks while anybody looks.
const listeners = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined
let seconds = 0
let nowOf: () => number = Date.now

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  timer ??= setInterval(tick, 1000)
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

function tick() {
  seconds = Math.floor(nowOf() / 1000)
  for (const listener of listeners) listener()
}

/** tellTime says where the time comes from: the server's clock, for everything that ends. */
export function tellTime(now: () => number) {
  nowOf = now
}

/** useNow is the time in milliseconds, to the given step in seconds: a component renders once a step. */
export function useNow(step = 1): number {
  return useSyncExternalStore(subscribe, () => {
    const at = timer === undefined || seconds === 0 ? Math.floor(nowOf() / 1000) : seconds
    return Math.floor(at / step) * step * 1000
  })
}

interface Props extends TextProps {
  at: string
  component?: 'span'
}

/** When is a time in words, with the exact time behind it. */
export function When({ at, ...props }: Props) {
  const now = useNow(10)
  return (
    <Tooltip label={exact(at)}>
      <Text inherit span {...props}>
        <time dateTime={at}>{ago(Date.parse(at), now)}</time>
      </Text>
    </Tooltip>
  )
}

/** Countdown is how long something still lasts, and what is said when it is over. */
export function Countdown({ until, over = 'over' }: { until: string; over?: string }) {
  const left = (Date.parse(until) - useNow()) / 1000
  return (
    <time dateTime={until} title={exact(until)}>
      {left > 0 ? span(left) : over}
    </time>
  )
}
