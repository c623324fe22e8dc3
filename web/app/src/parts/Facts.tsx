import { Stack } from '@mantine/core'
import type { ReactNode } from 'react'
import { Card } from '../ui/Card'
import classes from './Facts.module.css'

interface SectionProps {
  title: string
  action?: ReactNode
  children: ReactNode
}

/** A part of a page about one thing, with its own parts one below the other. */
export function Section({ title, action, children }: SectionProps) {
  return (
    <Card title={title} actions={action}>
      <Stack gap="sm">{children}</Stack>
    </Card>
  )
}

/** What is known of one thing, name and fact. What is not known is left out. */
export function Facts({ of }: { of: [name: string, fact: ReactNode][] }) {
  return (
    <dl className={classes.facts}>
      {of
        .filter(([, fact]) => fact !== undefined && fact !== '' && fact !== false)
        .map(([name, fact]) => (
          <div key={name} className={classes.fact}>
            <dt>{name}</dt>
            <dd>{fact}</dd>
          </div>
        ))}
    </dl>
  )
}
