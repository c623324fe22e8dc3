import { useLayoutEffect, useRef } from 'react'
import type { Held } from './machine'
import classes from './Reveal.module.css'
import { mask, showText } from './shown'

/**
 * The value's place. Its text is in the document only while it is shown, and is put there and taken
 * away by hand: what React renders, it remembers.
 */
export function Value({ state }: { state: Held }) {
  const place = useRef<HTMLPreElement>(null)
  const showing = state.at === 'showing'
  const { value } = state
  useLayoutEffect(() => {
    const node = place.current
    if (!node || !showing) return
    node.textContent = showText(value)
    return () => {
      node.textContent = mask
    }
  }, [showing, value])
  return (
    <pre
      ref={place}
      className={classes.value}
      data-masked={showing ? undefined : true}
      aria-label={showing ? 'The value' : 'The value, out of sight'}
      role="region"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a long value is scrolled by the keyboard, too
      tabIndex={0}
      onCopy={(event) => event.preventDefault()}
    >
      {mask}
    </pre>
  )
}
