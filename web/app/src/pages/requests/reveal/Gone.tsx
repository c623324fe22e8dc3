import { Alert, Text } from '@mantine/core'
import { IconCircleCheck } from '@tabler/icons-react'
import type { Envelope, Request } from '../../../api/requests'
import { nameOf } from '../../../parts/requestWords'
import { exact } from '../../../ui/time'
import { When } from '../../../ui/When'
import type { State } from './machine'

const why: Record<Extract<State, { at: 'gone' }>['why'], string> = {
  time: 'Its time was over. It was shown once and is destroyed.',
  done: 'You ended it. It was shown once and is destroyed.',
  left: 'You left while it was on its way, so it was never shown, and is destroyed.',
}

/** What is said in the place of a value that was here. */
export function GoneNote({ state, request }: { state: Extract<State, { at: 'gone' }>; request: Request }) {
  return (
    <Alert color="gray" icon={<IconCircleCheck size={18} />} title="The value is gone" role="status">
      <Text size="md">
        {why[state.why]}{' '}
        {state.opened !== undefined && `Opened by ${nameOf(request.requester)} on ${exact(state.opened)}.`}
      </Text>
    </Alert>
  )
}

/** Why there is nothing to open: who opened it and when, or that its time ran out. */
export function WhoOpened({ request, envelope }: { request: Request; envelope: Envelope }) {
  switch (envelope.state) {
    case 'revealed': // only the requester can
      return (
        <Text component="div">
          {nameOf(request.requester)} opened it <When at={envelope.at} /> ({exact(envelope.at)}). It was shown once and
          is destroyed.
        </Text>
      )
    case 'expired':
      return (
        <Text component="div">
          Nobody opened it in time, so it was destroyed <When at={envelope.at} />.
        </Text>
      )
    case 'failed':
      return (
        <Text component="div">
          It could not be opened <When at={envelope.at} />, and is destroyed. Tell an operator.
        </Text>
      )
    case 'ready':
      return null
  }
}
