import { Badge, Group, Stack, Text } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { newKey } from '../../api/client'
import { delegationsQuery, endDelegation } from '../../api/me'
import { Section } from '../../parts/Facts'
import classes from '../../parts/Rows.module.css'
import { nameOf } from '../../parts/requestWords'
import { type Me, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'
import { Failed, Loading } from '../../ui/states'
import { When } from '../../ui/When'

const DelegateDialog = lazily(() => import('./DelegateDialog'), 'DelegateDialog')

/** Who votes for somebody, and until when. */
export function Delegations({ me }: { me: Me }) {
  const blocked = whyNot(me, 'delegation.manage', 'let others vote for you')
  const delegations = useQuery({ ...delegationsQuery, enabled: !blocked })
  const cache = useQueryClient()
  const [opened, setOpened] = useState(false)
  const [error, setError] = useState<unknown>()
  const refresh = () => cache.invalidateQueries({ queryKey: delegationsQuery.queryKey })
  const end = async (id: string) => {
    setError(undefined)
    try {
      await endDelegation(id, newKey())
      await refresh()
    } catch (caught) {
      setError(caught)
    }
  }
  return (
    <Section
      title="Who decides for you"
      action={
        <ActionButton size="xs" variant="default" blocked={blocked} onClick={() => setOpened(true)}>
          Let somebody vote for you
        </ActionButton>
      }
    >
      {blocked && <Text c="dimmed">{blocked}</Text>}
      {error !== undefined && <Failed error={error} />}
      {!blocked && delegations.isPending && <Loading what="Loading who decides for you" />}
      {delegations.error && <Failed error={delegations.error} again={() => void delegations.refetch()} />}
      {delegations.data?.items.length === 0 && (
        <Text c="dimmed">
          Nobody. Before a holiday, let a colleague vote in your place; the history says for whom they did.
        </Text>
      )}
      <ul className={classes.list} aria-label="Who decides for you">
        {delegations.data?.items.map((delegation) => (
          <li key={delegation.id} className={classes.item}>
            <Stack gap={0} flex={1}>
              <Group gap={8}>
                <Text size="md" fw={500}>
                  {nameOf(delegation.to)}
                </Text>
                {delegation.absent && <Badge color="gray">You are away</Badge>}
              </Group>
              <Text size="sm" c="dimmed">
                From <When at={delegation.since} /> until <When at={delegation.until} />
                {delegation.reason && `: ${delegation.reason}`}
              </Text>
            </Stack>
            <ActionButton
              size="xs"
              variant="default"
              onClick={() => void end(delegation.id)}
              aria-label={`End it: what ${nameOf(delegation.to)} may`}
            >
              End it
            </ActionButton>
          </li>
        ))}
      </ul>
      {opened && (
        <DelegateDialog
          close={() => {
            setOpened(false)
            void refresh()
          }}
        />
      )}
    </Section>
  )
}
