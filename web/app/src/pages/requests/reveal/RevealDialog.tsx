import { Alert, Button, Group, Loader, Modal, Stack, Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { type ReactNode, useEffect, useState, useSyncExternalStore } from 'react'
import { codeOf } from '../../../api/problem'
import type { Envelope, Request } from '../../../api/requests'
import { SecretName } from '../../../parts/SecretName'
import { clock } from '../../../session/renewal'
import { NotProved, withStepUp } from '../../../session/stepUp'
import { useMe } from '../../../session/who'
import { Countdown } from '../../../ui/When'
import { AskAgain } from './AskAgain'
import { ClipboardNote, useClipboardOf } from './Clipboard'
import { GoneNote, WhoOpened } from './Gone'
import { holds, stay } from './machine'
import { meaning, openEnvelope } from './open'
import { newReveal, type Reveal } from './run'
import { Shown } from './Shown'

interface Props {
  request: Request
  envelope: Envelope
  opened: boolean
  close: () => void
}

/**
 * Opens a value, once. It is in this dialog alone, as bytes that are overwritten when the time is over,
 * when the dialog closes and when the page goes; never in a cache, storage or an address.
 */
export function RevealDialog({ request, envelope, opened, close }: Props) {
  const [reveal, setReveal] = useState(() => newReveal())
  const [before, setBefore] = useState(opened)
  if (opened !== before) {
    setBefore(opened)
    if (opened) setReveal(newReveal())
  }
  useEffect(() => {
    if (!opened) reveal.stop()
    return reveal.stop
  }, [opened, reveal])
  const state = useSyncExternalStore(reveal.subscribe, reveal.get)
  const busy = state.at === 'fetching' // the value is on its way and would be lost
  const behind = state.at === 'proving' // another dialog is over this one, and Escape is for that one
  return (
    <Modal
      opened={opened}
      onClose={() => busy || close()}
      title="Open a value once"
      size="lg"
      withCloseButton={!busy}
      closeOnEscape={!busy && !behind}
      closeOnClickOutside={!busy && !behind && !holds(state)}
    >
      <Stack>
        <Text component="div">
          <strong>{envelope.key}</strong> of <SecretName secret={request.secret} />
        </Text>
        {/* What was told of the envelope when the dialog was opened may be old. */}
        <Steps
          reveal={reveal}
          request={request}
          envelope={request.envelopes.find(({ id }) => id === envelope.id) ?? envelope}
          close={close}
        />
      </Stack>
    </Modal>
  )
}

interface StepsProps {
  reveal: Reveal
  request: Request
  envelope: Envelope
  close: () => void
}

function Steps({ reveal, request, envelope, close }: StepsProps) {
  const state = useSyncExternalStore(reveal.subscribe, reveal.get)
  const begin = useOpening(reveal, request, envelope)
  const clipboard = useClipboardOf()
  const away = (
    <Button variant="default" onClick={close}>
      Close
    </Button>
  )
  switch (state.at) {
    case 'ready':
      return envelope.state === 'ready' ? (
        <>
          <Text component="div">
            It can be opened one time, and only by you; <Countdown until={envelope.expires} /> are left for it. It stays
            here for {stay / 1000} seconds, hidden until you look, and is then destroyed. That you opened it is on
            record.
          </Text>
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Not now
            </Button>
            <Button onClick={() => void begin()} data-autofocus>
              Open it now
            </Button>
          </Group>
        </>
      ) : (
        <>
          <WhoOpened request={request} envelope={envelope} />
          <Group justify="flex-end">
            <AskAgain request={request} />
            {away}
          </Group>
        </>
      )
    case 'fetching':
      return <Busy>Opening it. Stay here for a moment.</Busy>
    case 'proving':
      return <Busy>It opens as soon as you have proved your second factor.</Busy>
    case 'failed':
      return (
        <>
          <Alert
            color={state.used ? 'yellow' : 'red'}
            title={state.used ? 'There is nothing to open' : 'It was not opened'}
          >
            {state.says}
          </Alert>
          {envelope.state !== 'ready' && <WhoOpened request={request} envelope={envelope} />}
          <Group justify="flex-end">
            {state.used && <AskAgain request={request} />}
            {away}
            {state.again && <Button onClick={() => void begin()}>Try again</Button>}
          </Group>
        </>
      )
    case 'gone':
      return (
        <>
          <GoneNote state={state} request={request} />
          {clipboard.copied !== 'no' && <ClipboardNote {...clipboard} />}
          <Group justify="flex-end">
            <AskAgain request={request} />
            {away}
          </Group>
        </>
      )
    default:
      return <Shown state={state} reveal={reveal} clipboard={clipboard} />
  }
}

function Busy({ children }: { children: ReactNode }) {
  return (
    <Group role="status" py="md" justify="center">
      <Loader size="sm" />
      <Text>{children}</Text>
    </Group>
  )
}

/** useOpening asks the server, after a second factor where it wants one, and tells the machine what became of it. */
function useOpening(reveal: Reveal, request: Request, envelope: Envelope) {
  const me = useMe()
  const cache = useQueryClient()
  return async () => {
    const first = request.actions.reveal.step_up === true
    let called = false
    const fetchValue = async () => {
      called = false
      reveal.send({ is: 'proven' })
      try {
        return await openEnvelope(request, envelope, me.id, () => {
          called = true
        })
      } catch (error) {
        if (codeOf(error) === 'step_up_required') reveal.send({ is: 'wanted' })
        throw error
      }
    }
    reveal.send({ is: first ? 'wanted' : 'ask' })
    try {
      const { value, end } = await withStepUp(fetchValue, first)
      reveal.send({ is: 'arrived', value, end, now: clock.now() })
    } catch (error) {
      if (error instanceof NotProved) reveal.send({ is: 'declined' })
      else reveal.send({ is: 'refused', ...meaning(error, called) })
    }
    void cache.invalidateQueries({ queryKey: ['requests'] })
  }
}
