import { Group, Stack, Text, Title } from '@mantine/core'
import { type ReactNode, useEffect, useRef } from 'react'
import { land } from './arrival'
import classes from './Page.module.css'

interface Props {
  title: string
  /** One sentence: what somebody does here. */
  about?: ReactNode
  actions?: ReactNode
  children: ReactNode
  /** Lists use all the room there is; text and forms are narrower. */
  wide?: boolean
}

/** The frame of a page: its one heading, what it is for, and what can be done. */
export function Page({ title, about, actions, children, wide = true }: Props) {
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => {
    document.title = `${title} · Secrets Bridge`
    land(heading.current)
  }, [title])
  return (
    <div className={classes.page} data-narrow={!wide || undefined}>
      <Group justify="space-between" align="flex-start" gap="md" className={classes.head}>
        <Stack gap={2}>
          <Title order={1} ref={heading} tabIndex={-1} className={classes.title}>
            {title}
          </Title>
          {about && (
            <Text c="dimmed" size="md" maw={720}>
              {about}
            </Text>
          )}
        </Stack>
        {actions && <Group gap="xs">{actions}</Group>}
      </Group>
      {children}
    </div>
  )
}
