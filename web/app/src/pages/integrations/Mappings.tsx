import { Alert, Badge, Button, Group, Stack, Text } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { newKey } from '../../api/client'
import {
  addMapping,
  type Integration,
  type Mapping,
  mappingsQuery,
  removeMapping,
  type Suggestion,
  suggestionsQuery,
} from '../../api/integrations'
import { useListing } from '../../api/listing'
import { sentence } from '../../api/problem'
import { Section } from '../../parts/Facts'
import { Problem } from '../../parts/Problem'
import classes from '../../parts/Rows.module.css'
import { withStepUp } from '../../session/stepUp'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'
import { Failed, Loading } from '../../ui/states'
import { useAttempt } from '../../ui/useAttempt'
import { When } from '../../ui/When'
import { originWords, secretsOf, targetOf } from './integrationWords'

const MapDialog = lazily(() => import('./MapDialog'), 'MapDialog')

interface Props {
  integration: Integration
  blocked: string | undefined
}

/** Which application uses which secrets: a change of one of those is watched there. */
export function Mappings({ integration, blocked }: Props) {
  const cache = useQueryClient()
  const list = useListing(mappingsQuery(integration.name))
  const [adding, setAdding] = useState(false)
  const { busy, error, attempt } = useAttempt()
  const refresh = () => cache.invalidateQueries({ queryKey: ['integrations'] })
  const drop = ({ id }: Mapping) =>
    attempt(async () => {
      await withStepUp(() => removeMapping(integration.name, id, newKey()))
      await refresh()
    })
  return (
    <>
      <Section
        title="Which secrets are used where"
        action={
          <ActionButton size="xs" variant="default" blocked={blocked} onClick={() => setAdding(true)}>
            Add a mapping
          </ActionButton>
        }
      >
        <Text c="dimmed">
          A change of one of these secrets is watched there until it is live, or until the time for it is over.
        </Text>
        <Problem error={error} />
        {list.loading && <Loading what="Loading the mappings" />}
        {list.error ? <Failed error={list.error} again={list.again} /> : null}
        {!list.loading && !list.error && list.rows.length === 0 && <Text>None yet, so nothing is watched.</Text>}
        <ul className={classes.list} aria-label="Mappings">
          {list.rows.map((mapping) => (
            <li key={mapping.id} className={classes.item}>
              <Stack gap={0} flex={1} miw={0}>
                <Text fw={500} style={{ overflowWrap: 'anywhere' }}>
                  {secretsOf(mapping)}
                </Text>
                <Text size="sm" c="dimmed" style={{ overflowWrap: 'anywhere' }}>
                  {mapping.target.kind} {targetOf(mapping)}
                  {mapping.target.secret && `, in the Secret ${mapping.target.secret}`} · {originWords[mapping.origin]},{' '}
                  <When at={mapping.added_at} />
                </Text>
              </Stack>
              <ActionButton
                size="xs"
                variant="default"
                blocked={blocked}
                loading={busy}
                onClick={() => void drop(mapping)}
                aria-label={`Remove the mapping of ${secretsOf(mapping)} to ${targetOf(mapping)}`}
              >
                Remove
              </ActionButton>
            </li>
          ))}
        </ul>
        {list.more && (
          <Group>
            <Button size="xs" variant="default" loading={list.loadingMore} onClick={list.loadMore}>
              Show more
            </Button>
          </Group>
        )}
        {adding && <MapDialog integration={integration} close={() => setAdding(false)} />}
      </Section>
      {integration.kind === 'argo-cd' && <Found integration={integration} blocked={blocked} done={refresh} />}
    </>
  )
}

/** What Argo CD's ExternalSecrets say now; it becomes a mapping when somebody takes it. */
function Found({ integration, blocked, done }: Props & { done: () => Promise<unknown> }) {
  const [asked, setAsked] = useState(false)
  const found = useQuery({ ...suggestionsQuery(integration.name), enabled: asked })
  const { busy, error, attempt } = useAttempt()
  const take = ({ connection, ref, target }: Suggestion) =>
    attempt(async () => {
      await withStepUp(() => addMapping(integration.name, { connection, ref, target, discovered: true }, newKey()))
      await done()
      await found.refetch()
    })
  return (
    <Section
      title="Found in the cluster"
      action={
        <Button
          size="xs"
          variant="default"
          loading={found.isFetching}
          onClick={() => (asked ? void found.refetch() : setAsked(true))}
        >
          {asked ? 'Look again' : 'Look for some'}
        </Button>
      }
    >
      <Text c="dimmed">
        The ExternalSecrets of its applications name the secrets that they take. Look, and take what is right.
      </Text>
      {(error ?? found.error) && (
        <Alert color="red" variant="light" role="alert">
          {sentence(error ?? found.error)}
        </Alert>
      )}
      {found.data?.items.length === 0 && <Text>No ExternalSecret there names a secret that is in the inventory.</Text>}
      <ul className={classes.list} aria-label="Found in the cluster">
        {found.data?.items.map((one) => (
          <li key={`${one.connection}/${one.ref} ${targetOf(one)}`} className={classes.item}>
            <Stack gap={0} flex={1} miw={0}>
              <Text fw={500} style={{ overflowWrap: 'anywhere' }}>
                {one.connection}/{one.ref}
              </Text>
              <Text size="sm" c="dimmed">
                {one.target.kind} {targetOf(one)}
              </Text>
            </Stack>
            {one.mapped ? (
              <Badge color="green">Mapped</Badge>
            ) : (
              <ActionButton
                size="xs"
                variant="default"
                blocked={blocked}
                loading={busy}
                onClick={() => void take(one)}
                aria-label={`Take ${one.connection}/${one.ref} for ${targetOf(one)}`}
              >
                Take it
              </ActionButton>
            )}
          </li>
        ))}
      </ul>
      {found.data?.more && <Text c="dimmed">There are more than these.</Text>}
    </Section>
  )
}
