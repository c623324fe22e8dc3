import type { IconProps } from '@tabler/icons-react'
import type { ComponentType, ReactNode } from 'react'
import classes from './Note.module.css'

interface Props {
  tone: 'gray' | 'yellow' | 'red'
  icon: ComponentType<IconProps>
  title?: string
  children: ReactNode
}

/** Something to know before one goes on. It is part of the page, and not called out. */
export function Note({ tone, icon: Icon, title, children }: Props) {
  return (
    <div className={classes.note} data-tone={tone} role="note">
      <Icon size={18} stroke={1.8} className={classes.icon} aria-hidden />
      <div>
        {title && <p className={classes.title}>{title}</p>}
        {children}
      </div>
    </div>
  )
}
