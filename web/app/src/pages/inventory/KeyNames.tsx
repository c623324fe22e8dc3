import { Alert, Badge, Code, Group, Loader, Stack, Text } from '@mantine/core'
import { IconListDetails } from '@tabler/icons-react'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { followJob, type Job, jobQuery, keyNames } from '../../api/jobs'
import { sentence } from '../../api/problem'
import { queueKeys, type Secret } from '../../api/secrets'
import { Section } from '../../parts/Facts'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'

type State =
  | { at: 'idle' }
  | { at: 'asked'; says: string }
  | { at: 'known'; keys: string[] }
  | { at: 'failed'; error: unknown }

/** The names of a secret's keys, which an agent looks up when somebody asks. They stay in this component. */
export function KeyNames({ secret }: { secret: Secret }) {
  const cache = useQueryClient()
  const me = useMe()
  const [state, setState] = useState<State>({ at: 'idle' })
  const stop = useRef(() => {})
  useEffect(() => () => stop.current(), [])
  const gone = secret.status === 'gone' ? 'The last scan did not find this secret any more.' : undefined
  const blocked = gone ?? whyNot(me, 'secret.keys', 'learn the names of keys')

  const ask = async () => {
    setState({ at: 'asked', says: 'Asking an agent.' })
    try {
      const job = await queueKeys(secret.id, newKey())
      const done = await over(job)
      if (done.state !== 'finished') throw new Error(done.failure?.detail ?? 'The agent was not asked to the end.')
      setState({ at: 'known', keys: (await keyNames(done.id)).keys })
    } catch (error) {
      setState({ at: 'failed', error })
    }
  }
  const over = (job: Job) =>
    new Promise<Job>((resolve) => {
      const { queryKey } = jobQuery(job.id)
      const look = () => {
        const now = cache.getQueryData(queryKey)
        if (now?.waiting) setState({ at: 'asked', says: sentence(new Error(now.waiting)) })
        if (now && ['finished', 'failed', 'cancelled'].includes(now.state)) {
          stop.current()
          resolve(now)
        }
      }
      const unfollow = followJob(cache, job.id, () => undefined)
      const unsubscribe = cache.getQueryCache().subscribe(({ query }) => {
        if (query.queryKey[1] === 'one' && query.queryKey[2] === job.id) look()
      })
      stop.current = () => {
        unfollow()
        unsubscribe()
      }
    })
  return (
    <Section
      title="Keys"
      action={
        state.at !== 'known' && (
          <ActionButton
            variant="default"
            size="xs"
            leftSection={<IconListDetails size={15} />}
            blocked={blocked}
            loading={state.at === 'asked'}
            onClick={() => void ask()}
          >
            Look up the names
          </ActionButton>
        )
      }
    >
      <Stack gap="xs" aria-live="polite">
        {state.at === 'idle' && (
          <Text size="sm" c="dimmed">
            An agent looks up what its keys are called, without their values. That you asked is in the audit.
          </Text>
        )}
        {state.at === 'asked' && (
          <Group gap="xs">
            <Loader size="xs" />
            <Text size="sm">{state.says}</Text>
          </Group>
        )}
        {state.at === 'failed' && (
          <Alert color="red" variant="light" role="alert">
            {sentence(state.error)}
          </Alert>
        )}
        {state.at === 'known' && (
          <Group gap={6}>
            {state.keys.length === 0 && <Badge color="gray">It has none</Badge>}
            {state.keys.map((name) => (
              <Code key={name}>{name}</Code>
            ))}
          </Group>
        )}
      </Stack>
    </Section>
  )
}
