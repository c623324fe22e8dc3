import { Group, Paper, Stack, Title } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './Facts.module.css'

interface SectionProps {
  title: string
  action?: ReactNode
  children: ReactNode
}

/** A part of a page about one thing. */
export function Section({ title, action, children }: SectionProps) {
  return (
    <Paper component="section" withBorder p="md" aria-label={title} className={classes.section}>
      <Stack gap="sm">
        <Group justify="space-between" mih={30}>
          <Title order={2}>{title}</Title>
          {action}
        </Group>
        {children}
      </Stack>
    </Paper>
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
