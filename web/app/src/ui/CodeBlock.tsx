import type { ReactNode } from 'react'
import classes from './CodeBlock.module.css'

interface Props {
  /** What it is, for who does not see it. */
  label: string
  children: string
  /** Beside the text, such as a button that copies it. */
  action?: ReactNode
}

/** A command or a piece of configuration. It scrolls by itself, so it can have the focus. */
export function CodeBlock({ label, children, action }: Props) {
  return (
    <div className={classes.block}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <div role="region" aria-label={label} tabIndex={0} className={classes.text}>
        <pre>{children}</pre>
      </div>
      {action}
    </div>
  )
}
