// What a page shows while there is nothing to show: it loads, it is empty, it failed, it is not allowed.
import { Alert, Button, Center, Group, Loader, Stack, Text, ThemeIcon, Title } from '@mantine/core'
import { IconAlertTriangle, IconLock, type IconProps } from '@tabler/icons-react'
import type { ComponentType, ReactNode } from 'react'
import { Refusal, sentence } from '../api/problem'
import classes from './states.module.css'

export function Loading({ what = 'Loading' }: { what?: string }) {
  return (
    <Center py={64} role="status" aria-label={what}>
      <Loader size="sm" />
    </Center>
  )
}

interface EmptyProps {
  icon: ComponentType<IconProps>
  title: string
  /** What would be here, and how it gets here. */
  children?: ReactNode
  actions?: ReactNode
}

/** An empty state teaches: what would be here, and what to do for it. */
export function Empty({ icon: Icon, title, children, actions }: EmptyProps) {
  return (
    <div className={classes.empty}>
      <Stack align="center" gap="sm">
        <ThemeIcon size={44} radius="xl" variant="light" aria-hidden>
          <Icon size={22} stroke={1.6} />
        </ThemeIcon>
        <Title order={2} ta="center">
          {title}
        </Title>
        {children && (
          <Text component="div" c="dimmed" ta="center" maw={520}>
            {children}
          </Text>
        )}
        {actions && <Group justify="center">{actions}</Group>}
      </Stack>
    </div>
  )
}

/** Failed says what went wrong, in words, with the way to try again. A refusal has a stable code and a number for the operator. */
export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  if (error instanceof Refusal && error.status === 403) return <Forbidden reason={sentence(error)} />
  return (
    <Alert color="red" variant="light" icon={<IconAlertTriangle size={18} />} title="This did not work" role="alert">
      <Stack gap="xs" align="flex-start">
        <Text size="md">{sentence(error)}</Text>
        {error instanceof Refusal && (
          <Text size="xs" c="dimmed">
            {error.code}
            {error.instance && ` · ${error.instance}`}
          </Text>
        )}
        {again && (
          <Button size="xs" variant="default" onClick={again}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  )
}

/** Forbidden says what is missing, and who can help. */
export function Forbidden({ reason }: { reason: string }) {
  return (
    <Empty icon={IconLock} title="You may not see this">
      {reason}
    </Empty>
  )
}
