import { Button, Group, Stack, Text } from '@mantine/core'
import type { ReactNode } from 'react'
import type { Link } from '../../api/people'
import { ShownOnce } from '../../ui/ShownOnce'
import { When } from '../../ui/When'

interface Props {
  link: Link
  close: () => void
  /** What one may do next, beside closing it. */
  next?: ReactNode
  children?: ReactNode
}

/** A link by which somebody chooses a password. */
export function LinkShown({ link, close, next, children }: Props) {
  return (
    <Stack>
      <Text>
        Send it to them by a way that only they read. Whoever has it becomes them; it works once, and ends{' '}
        <When at={link.expires} />.
      </Text>
      <ShownOnce what="link" text={link.link} />
      {children && <Text c="dimmed">{children}</Text>}
      <Group justify="flex-end">
        <Button variant="default" onClick={close}>
          Close
        </Button>
        {next}
      </Group>
    </Stack>
  )
}
