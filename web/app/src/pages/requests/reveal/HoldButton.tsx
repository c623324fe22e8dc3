import { Button } from '@mantine/core'
import { IconEye } from '@tabler/icons-react'
import { useRef } from 'react'
import classes from './Reveal.module.css'

interface Props {
  showing: boolean
  hold: () => void
  release: () => void
  press: () => void
}

/** A press shorter than this is a press and no hold, in milliseconds. */
const short = 350

/**
 * Shows while it is held, by pointer or by the space bar; a short press shows until the next one, for
 * whoever cannot hold.
 */
export function HoldButton({ showing, hold, release, press }: Props) {
  const since = useRef<number | undefined>(undefined)
  const wasShowing = useRef(false)
  const down = () => {
    if (since.current !== undefined) return
    since.current = performance.now()
    wasShowing.current = showing
    hold()
  }
  const up = () => {
    if (since.current === undefined) return
    const held = performance.now() - since.current
    since.current = undefined
    release()
    if (held < short && !wasShowing.current) press()
  }
  return (
    <Button
      className={classes.hold}
      leftSection={<IconEye size={17} aria-hidden />}
      onPointerDown={(event) => {
        if (event.button !== 0) return
        event.currentTarget.setPointerCapture(event.pointerId)
        down()
      }}
      onPointerUp={up}
      onPointerCancel={up}
      onKeyDown={(event) => {
        if (event.key !== ' ' && event.key !== 'Enter') return
        event.preventDefault()
        if (!event.repeat) down()
      }}
      onKeyUp={(event) => {
        if (event.key !== ' ' && event.key !== 'Enter') return
        event.preventDefault()
        up()
      }}
      onClick={(event) => {
        if (event.detail === 0) press() // of a screen reader, which has neither pointer nor key
      }}
      onBlur={up}
      onContextMenu={(event) => event.preventDefault()} // a long touch opens it
      data-autofocus
    >
      {showing ? 'Hide' : 'Hold to show'}
    </Button>
  )
}
