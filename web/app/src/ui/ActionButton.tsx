import { Button, type ButtonProps, Tooltip } from '@mantine/core'
import type { MouseEventHandler, ReactNode } from 'react'

interface Props extends ButtonProps {
  /** Why it cannot be used now, as a sentence; it stays visible, can be focused, and says so. */
  blocked?: string | undefined
  onClick?: MouseEventHandler<HTMLButtonElement> | undefined
  type?: 'button' | 'submit'
  children: ReactNode
  'aria-keyshortcuts'?: string
}

/** A button that says why it cannot be used, instead of going away or falling silent. */
export function ActionButton({ blocked, onClick, type = 'button', ...props }: Props) {
  if (!blocked) return <Button type={type} onClick={onClick} {...props} />
  return (
    <Tooltip label={blocked}>
      <Button
        {...props}
        type="button"
        data-disabled
        aria-disabled
        onClick={(event) => event.preventDefault()}
        aria-description={blocked}
      />
    </Tooltip>
  )
}
