import { Anchor, Badge, Group, Stack, Text, Title } from '@mantine/core'
import { IconExternalLink } from '@tabler/icons-react'
import type { Request } from '../../../api/requests'
import {
  live,
  nameOf,
  problem,
  proof,
  standing,
  type Watch,
  watchWords,
  whole,
} from '../../../parts/request/rolloutWords'
import { Countdown, When } from '../../../ui/When'
import classes from './Review.module.css'

/** Whether a written change is live where the secret is used: every application that is watched, and what is seen there. */
export function Rollout({ request: { rollout } }: { request: Request }) {
  if (!rollout) return null
  return (
    <section aria-labelledby="rollout">
      <Group justify="space-between" mb="xs" gap="xs">
        <Title order={3} id="rollout">
          Rollout
        </Title>
        <Text size="sm" c="dimmed">
          {whole(rollout)}
          {rollout.state === 'watching' && (
            <>
              {' · '}watched for <Countdown until={rollout.until} over="no longer" />
            </>
          )}
        </Text>
      </Group>
      <ul className={classes.list}>
        {rollout.watches.map((watch) => (
          <li key={watch.number} className={classes.item}>
            <Application watch={watch} />
          </li>
        ))}
      </ul>
      {rollout.left > 0 && (
        <Text size="sm" c="dimmed" mt="xs">
          {rollout.left} more {rollout.left === 1 ? 'application uses' : 'applications use'} the secret and{' '}
          {rollout.left === 1 ? 'is' : 'are'} not watched.
        </Text>
      )}
    </section>
  )
}

function Application({ watch }: { watch: Watch }) {
  const words = watchWords[watch.state]
  const trouble = problem(watch)
  const shown = proof(watch)
  return (
    <Stack gap={4} miw={0} flex={1}>
      <Group justify="space-between" gap="xs">
        <Group gap="sm">
          <span className={classes.key}>{nameOf(watch)}</span>
          <Badge color={words.tone}>{words.label}</Badge>
          <Text size="xs" c="dimmed">
            {[watch.integration, standing(watch)].filter(Boolean).join(' · ')}
          </Text>
        </Group>
        {watch.link && (
          <Anchor href={watch.link} target="_blank" rel="noreferrer noopener" size="xs">
            <Group gap={4} wrap="nowrap">
              Open in Argo CD <IconExternalLink size={13} aria-hidden />
            </Group>
          </Anchor>
        )}
      </Group>
      <Text size="sm">{live(watch)}</Text>
      {shown && watch.reached_at && (
        <Text size="xs" c="dimmed">
          In the cluster since <When at={watch.reached_at} />, at the latest: {shown}.
        </Text>
      )}
      {trouble && <Text size="sm">{trouble}</Text>}
      {watch.laggards.length > 0 && <Laggards watch={watch} />}
    </Stack>
  )
}

/** Pods that started before the change was there, by name. */
function Laggards({ watch: { laggards, live, total } }: { watch: Watch }) {
  const more = total - live - laggards.length
  return (
    <details>
      <summary>
        <Text span size="sm">
          Still with an older version
        </Text>
      </summary>
      <ul>
        {laggards.map((pod) => (
          <li key={pod}>
            <Text span size="sm" ff="monospace">
              {pod}
            </Text>
          </li>
        ))}
      </ul>
      {more > 0 && (
        <Text size="sm" c="dimmed">
          and {more} more
        </Text>
      )}
    </details>
  )
}
