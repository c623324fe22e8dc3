import { Button } from '@mantine/core'
import { IconChevronDown, IconChevronRight } from '@tabler/icons-react'
import { type ReactNode, useState } from 'react'
import classes from './ApiReference.module.css'

interface Props {
  closed: string
  opened: string
  children: ReactNode
}

/** More of something, which is made when somebody wants to see it. */
export function Opens({ closed, opened, children }: Props) {
  const [open, setOpen] = useState(false)
  const Chevron = open ? IconChevronDown : IconChevronRight
  return (
    <div>
      <Button
        size="compact-sm"
        variant="subtle"
        leftSection={<Chevron size={14} aria-hidden />}
        className={classes.opens}
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        {open ? opened : closed}
      </Button>
      {open && <div className={classes.opened}>{children}</div>}
    </div>
  )
}
