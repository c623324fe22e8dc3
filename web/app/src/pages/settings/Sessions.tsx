import { Badge, Button, Group, Stack, Text } from '@mantine/core'
import { IconDeviceDesktop, IconLogout, IconTerminal2 } from '@tabler/icons-react'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { endAllSessions, endOtherSessions, endSession, sessionsQuery } from '../../api/me'
import { Section } from '../../parts/Facts'
import classes from '../../parts/Rows.module.css'
import { paths } from '../../paths'
import { leave } from '../../session/signOut'
import { Failed, Loading } from '../../ui/states'
import { When } from '../../ui/When'

/** endAll ends every session, and answers the page that says so. */
const endAll = () => endAllSessions().then(() => paths.signIn({ ended: 'everywhere' }))

/** Where somebody is signed in, and how to end it. */
export function Sessions() {
  const sessions = useQuery(sessionsQuery)
  const cache = useQueryClient()
  const [error, setError] = useState<unknown>()
  const act = async (what: () => Promise<unknown>) => {
    setError(undefined)
    try {
      await what()
      await cache.invalidateQueries({ queryKey: sessionsQuery.queryKey })
    } catch (caught) {
      setError(caught)
    }
  }
  const others = (sessions.data?.items.length ?? 0) > 1
  return (
    <Section
      title="Where you are signed in"
      action={
        <Group gap={8}>
          {others && (
            <Button size="xs" variant="default" onClick={() => void act(endOtherSessions)}>
              Sign out everywhere else
            </Button>
          )}
          <Button
            size="xs"
            variant="default"
            leftSection={<IconLogout size={15} />}
            onClick={() => void act(() => leave(endAll))}
          >
            Sign out everywhere
          </Button>
        </Group>
      }
    >
      {error !== undefined && <Failed error={error} />}
      {sessions.isPending && <Loading what="Loading where you are signed in" />}
      {sessions.error && <Failed error={sessions.error} again={() => void sessions.refetch()} />}
      <ul className={classes.list} aria-label="Your sessions">
        {sessions.data?.items.map((session) => (
          <li key={session.id} className={classes.item}>
            {session.browser ? (
              <IconDeviceDesktop size={18} stroke={1.6} aria-hidden />
            ) : (
              <IconTerminal2 size={18} stroke={1.6} aria-hidden />
            )}
            <Stack gap={0} flex={1}>
              <Group gap={8}>
                <Text size="md">
                  {session.browser ? 'A browser' : 'A command line'}, signed in <When at={session.created_at} />
                </Text>
                {session.current && <Badge color="green">This one</Badge>}
              </Group>
              <Text size="sm" c="dimmed">
                Last used <When at={session.used_at} />, ends <When at={session.expires} /> at the latest
              </Text>
            </Stack>
            {!session.current && (
              <Button size="xs" variant="default" onClick={() => void act(() => endSession(session.id))}>
                End it
              </Button>
            )}
          </li>
        ))}
      </ul>
    </Section>
  )
}
