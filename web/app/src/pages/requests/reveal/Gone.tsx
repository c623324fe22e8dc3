import { Alert, Text } from '@mantine/core'
import { IconCircleCheck } from '@tabler/icons-react'
import type { Envelope, Request } from '../../../api/requests'
import { nameOf } from '../../../parts/requestWords'
import { exact } from '../../../ui/time'
import { When } from '../../../ui/When'
import type { State } from './machine'

const why: Record<Extract<State, { at: 'gone' }>['why'], string> = {
  time: 'Its time was over.',
  done: 'You ended it.',
  left: 'You left while it was on its way, so it was never shown.',
}

/** What is said in the place of a value that was here. */
export function GoneNote({ state, request }: { state: Extract<State, { at: 'gone' }>; request: Request }) {
  return (
    <Alert color="gray" icon={<IconCircleCheck size={18} />} title="The value is gone" role="status">
      <Text size="md">
        {why[state.why]}{' '}
        {state.opened !== undefined && `Opened by ${nameOf(request.requester)} on ${exact(state.opened)}. `}
        It is destroyed here and at the server; ask again if you need it again.
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
          {nameOf(request.requester)} opened it <When at={envelope.at} /> ({exact(envelope.at)}). A value is opened one
          time; ask again if it is needed again.
        </Text>
      )
    case 'expired':
      return (
        <Text component="div">
          Nobody opened it in time, so it was destroyed <When at={envelope.at} />. Ask again if you still need it.
        </Text>
      )
    case 'failed':
      return (
        <Text component="div">
          It could not be opened <When at={envelope.at} />, and is destroyed. Ask again, and tell an operator.
        </Text>
      )
    case 'ready':
      return null
  }
}
