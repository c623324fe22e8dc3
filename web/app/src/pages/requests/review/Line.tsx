import { Text } from '@mantine/core'
import { useEffect, useState } from 'react'
import type { Following } from '../../../api/requests'
import classes from './Line.module.css'

/** A line that comes back within this time was never worth a word, in milliseconds. */
const worthSaying = 1_500

/** Whether what is shown is how it stands. Never green while it is not known. */
export function Line({ state }: { state: Following }) {
  const live = state === 'live'
  const [late, setLate] = useState(false)
  useEffect(() => {
    setLate(false)
    if (live) return
    const timer = setTimeout(() => setLate(true), worthSaying)
    return () => clearTimeout(timer)
  }, [live])
  return (
    <Text size="xs" c="dimmed" className={classes.line} role="status" data-live={live || undefined}>
      {live && 'Live'}
      {late && 'Reconnecting; this may be old'}
    </Text>
  )
}
