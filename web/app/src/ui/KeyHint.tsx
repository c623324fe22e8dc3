import { Kbd } from '@mantine/core'
import classes from './KeyHint.module.css'

/** The key of a control, beside it. It is left out where there is no room or no keyboard. */
export function KeyHint({ of, plain = false }: { of: string; plain?: boolean }) {
  return (
    <Kbd size="xs" aria-hidden className={classes.hint} data-plain={plain || undefined}>
      {of}
    </Kbd>
  )
}
