import { Text } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { type Account, endSessionsOf, sessionsOfQuery } from '../../api/people'
import { Section } from '../../parts/Facts'
import classes from '../../parts/Rows.module.css'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { Failed } from '../../ui/states'
import { When } from '../../ui/When'

/** Where somebody is signed in. */
export function SessionsOf({ person }: { person: Account }) {
  const me = useMe()
  const cache = useQueryClient()
  const sessions = useQuery(sessionsOfQuery(person.id))
  const [error, setError] = useState<unknown>()
  const open = sessions.data?.items ?? []
  const end = async () => {
    setError(undefined)
    try {
      await endSessionsOf(person.id)
      await cache.invalidateQueries({ queryKey: ['people'] })
    } catch (caught) {
      setError(caught)
    }
  }
  const blocked =
    whyNot(me, 'person.manage', "end other people's sessions") ??
    (open.length === 0 ? 'They are signed in nowhere.' : undefined)
  return (
    <Section
      title="Signed in"
      action={
        <ActionButton size="xs" variant="default" blocked={blocked} onClick={() => void end()}>
          Sign them out everywhere
        </ActionButton>
      }
    >
      {error !== undefined && <Failed error={error} />}
      {sessions.error && <Failed error={sessions.error} again={() => void sessions.refetch()} />}
      {sessions.data && open.length === 0 && <Text c="dimmed">Nowhere.</Text>}
      <ul className={classes.list} aria-label={`Sessions of ${person.name}`}>
        {open.map((session) => (
          <li key={session.id} className={classes.item}>
            <Text size="md">
              {session.browser ? 'A browser' : 'A command line'}, since <When at={session.created_at} />, last used{' '}
              <When at={session.used_at} />
            </Text>
          </li>
        ))}
      </ul>
    </Section>
  )
}
