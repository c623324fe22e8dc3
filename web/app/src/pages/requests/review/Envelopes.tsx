import { Badge, Group, Text, Title } from '@mantine/core'
import { lazy, Suspense, useState } from 'react'
import type { Envelope, Request } from '../../../api/requests'
import { nameOf, type Tone } from '../../../parts/requestWords'
import { useKeys, useMuted } from '../../../shell/keys'
import { ActionButton } from '../../../ui/ActionButton'
import { Countdown, When } from '../../../ui/When'
import { AskAgain } from '../reveal/AskAgain'
import classes from './Review.module.css'

const RevealDialog = lazy(() => import('../reveal/RevealDialog').then((part) => ({ default: part.RevealDialog })))

const states: Record<Envelope['state'], { label: string; tone: Tone }> = {
  ready: { label: 'Ready', tone: 'green' },
  revealed: { label: 'Opened', tone: 'gray' },
  expired: { label: 'Ran out of time', tone: 'gray' },
  failed: { label: 'Could not be opened', tone: 'red' },
}

/** The sealed values of a read: where each stands, and the way to open one, once. */
export function Envelopes({ request }: { request: Request }) {
  const [shown, setShown] = useState<Envelope>()
  const [opened, setOpened] = useState(false)
  const open = (envelope: Envelope) => {
    setShown(envelope)
    setOpened(true)
  }
  const first = request.actions.reveal.allowed && request.envelopes.find(({ state }) => state === 'ready')
  useMuted(opened)
  useKeys('Values', first ? [{ keys: ['v'], does: 'Open a value', run: () => open(first) }] : [])
  if (request.operation !== 'read' || request.envelopes.length === 0) return null
  return (
    <section aria-labelledby="values">
      <Title order={3} id="values" mb="xs">
        Values
      </Title>
      <ul className={classes.list}>
        {request.envelopes.map((envelope) => (
          <li key={envelope.id} className={classes.item}>
            <Group gap="sm">
              <span className={classes.key}>{envelope.key}</span>
              <Badge color={states[envelope.state].tone}>{states[envelope.state].label}</Badge>
              <Text size="xs" c="dimmed">
                <Since envelope={envelope} request={request} />
              </Text>
            </Group>
            {envelope.state === 'ready' && (
              <ActionButton
                size="xs"
                blocked={request.actions.reveal.allowed ? undefined : request.actions.reveal.reason}
                onClick={() => open(envelope)}
                aria-label={`Open ${envelope.key}`}
              >
                Open
              </ActionButton>
            )}
          </li>
        ))}
      </ul>
      {request.envelopes.every(({ state }) => state !== 'ready') && (
        <Group gap="sm" mt="xs">
          <Text size="sm" c="dimmed">
            {fate(request.envelopes)}
          </Text>
          <AskAgain request={request} size="xs" />
        </Group>
      )}
      <Suspense>
        {shown && <RevealDialog request={request} envelope={shown} opened={opened} close={() => setOpened(false)} />}
      </Suspense>
    </section>
  )
}

/** fate is what became of values of which none can be opened any more. */
function fate(all: Envelope[]): string {
  if (all.some(({ state }) => state !== 'revealed')) return 'Nothing is left to open.'
  return all.length === 1 ? 'It was shown once and is destroyed.' : 'Each was shown once and is destroyed.'
}

function Since({ envelope, request }: { envelope: Envelope; request: Request }) {
  if (envelope.state === 'ready') {
    return (
      <>
        can be opened for <Countdown until={envelope.expires} over="no longer" />
      </>
    )
  }
  if (envelope.state === 'revealed') {
    return (
      <>
        by {nameOf(request.requester)}, <When at={envelope.at} />
      </>
    )
  }
  return <When at={envelope.at} />
}
