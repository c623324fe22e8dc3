import { Badge, Tooltip } from '@mantine/core'
import { useEffect, useState, useSyncExternalStore } from 'react'
import { type LiveState, liveState } from '../api/live'

/** A line that comes back within this time was never worth a word, in milliseconds. */
const worthSaying = 1_500

const words: Record<Exclude<LiveState, 'live'>, { label: string; says: string }> = {
  connecting: { label: 'Connecting', says: 'What you see is being brought up to date.' },
  reconnecting: {
    label: 'Reconnecting',
    says: 'The line to the server is broken. What you see may be old until it is back.',
  },
}

/** Says when what is on the screen may be old. It says nothing while all is well. */
export function LiveBadge() {
  const state = useSyncExternalStore(liveState.subscribe, liveState.get)
  const [late, setLate] = useState(false)
  useEffect(() => {
    setLate(false)
    if (state === 'live') return
    const timer = setTimeout(() => setLate(true), worthSaying)
    return () => clearTimeout(timer)
  }, [state])
  return (
    <div role="status">
      {state !== 'live' && late && (
        <Tooltip label={words[state].says}>
          <Badge color="yellow" tabIndex={0}>
            {words[state].label}
          </Badge>
        </Tooltip>
      )}
    </div>
  )
}
