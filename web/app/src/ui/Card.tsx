import { Group, Paper, Title } from '@mantine/core'
import { type ReactNode, useId } from 'react'

interface Props {
  title?: ReactNode
  actions?: ReactNode
  order?: 2 | 3
  children: ReactNode
}

/** A part of a page with a heading of its own. */
export function Card({ title, actions, order = 2, children }: Props) {
  const id = useId()
  return (
    <Paper
      withBorder
      p={16}
      radius="md"
      bg="var(--sb-surface)"
      miw={0}
      component="section"
      aria-labelledby={title ? id : undefined}
    >
      {(title || actions) && (
        <Group justify="space-between" mb={12} gap={8} mih={30}>
          <Title order={order} id={id}>
            {title}
          </Title>
          {actions && <Group gap={8}>{actions}</Group>}
        </Group>
      )}
      {children}
    </Paper>
  )
}
