import { Alert, Button, Group, Modal, SegmentedControl, Stack, Text, Textarea } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { answer, api, newKey } from '../../../api/client'
import { sentence } from '../../../api/problem'
import { type Request, refuse } from '../../../api/requests'
import { RequestSentence } from '../../../parts/RequestSentence'
import { useMe } from '../../../session/who'
import { ActionButton } from '../../../ui/ActionButton'
import { Countdown } from '../../../ui/When'
import { Fault, newSending } from '../values/sealing'
import { ValueField, type ValueHandle } from '../values/ValueField'

interface Props {
  request: Request
  opened: boolean
  close: () => void
}

/** The shortest word to a request that will have no values, in characters, as the server wants it. */
const shortest = 10

/** Somebody of the team that was asked fills in the values of a request, or says why there will be none. */
export function ProvideDialog({ request, opened, close }: Props) {
  const [busy, setBusy] = useState(false)
  return (
    <Modal
      opened={opened}
      onClose={() => busy || close()}
      title="Fill in values"
      size="lg"
      closeOnClickOutside={false}
      withCloseButton={!busy}
    >
      <Form request={request} close={close} busy={busy} setBusy={setBusy} />
    </Modal>
  )
}

interface FormProps {
  request: Request
  close: () => void
  busy: boolean
  setBusy: (busy: boolean) => void
}

/** Lives as long as the dialog is open, and all that was typed goes with it. */
function Form({ request, close, busy, setBusy }: FormProps) {
  const me = useMe()
  const cache = useQueryClient()
  const [answering, setAnswering] = useState<'provide' | 'refuse'>('provide')
  const [comment, setComment] = useState('')
  const [error, setError] = useState<unknown>()
  const [sending] = useState(newSending)
  const refusalKey = useRef(newKey())
  const fields = useRef(new Map<string, ValueHandle>())
  const keys = (request.patch?.changes ?? []).filter(({ action }) => action === 'set').map(({ key }) => key)
  const said = comment.trim()
  const edited = () => {
    sending.changed()
    setError(undefined)
  }

  const provide = () =>
    sending.send(
      { secret: request.secret, me: me.id },
      keys.map((key) => ({
        key,
        action: 'set' as const,
        value: () => fields.current.get(key)?.read() ?? missing(key),
      })),
      (changes, key) =>
        answer(
          api.POST('/requests/{id}/values', {
            params: { path: { id: request.id }, header: { 'Idempotency-Key': key } },
            body: { changes, ...(said && { comment: said }) },
          }),
        ),
    )
  const submit = async () => {
    setBusy(true)
    setError(undefined)
    try {
      if (answering === 'provide') await provide()
      else await refuse(request.id, said, { key: refusalKey.current })
      for (const field of fields.current.values()) field.clear()
      void cache.invalidateQueries({ queryKey: ['requests'] })
      close()
    } catch (caught) {
      setError(caught)
    } finally {
      setBusy(false)
    }
  }

  const action = request.actions[answering]
  const short = answering === 'refuse' && said.length < shortest
  const blocked = action.allowed
    ? short
      ? `Say why in ${shortest} characters at least.`
      : undefined
    : sentence(new Error(action.reason))
  return (
    <form
      autoComplete="off"
      onSubmit={(event) => {
        event.preventDefault()
        if (!blocked) void submit()
      }}
    >
      <Stack>
        <Text component="div">
          <RequestSentence request={request} />: “{request.reason}”
        </Text>
        {request.fill && (
          <Text size="sm" c="dimmed">
            The team {request.fill.team} has <Countdown until={request.fill.until} /> left to answer. What you fill in
            is sealed here, in your browser; {request.requester.name || 'the requester'} does not see it, and others
            decide on it.
          </Text>
        )}
        <SegmentedControl
          aria-label="Your answer"
          value={answering}
          onChange={(value) => {
            setAnswering(value as 'provide' | 'refuse')
            edited()
          }}
          data={[
            { value: 'provide', label: 'Fill in' },
            { value: 'refuse', label: 'Refuse' },
          ]}
        />
        {answering === 'provide' &&
          keys.map((key) => (
            <Stack key={key} gap={4}>
              <Text size="sm" fw={500} ff="monospace">
                {key}
              </Text>
              <ValueField
                name={key}
                error={error instanceof Fault && error.key === key ? error.message : undefined}
                onEdit={edited}
                ref={(handle) => {
                  if (!handle) return
                  fields.current.set(key, handle)
                  return () => {
                    fields.current.delete(key)
                  }
                }}
              />
            </Stack>
          ))}
        <Textarea
          label={answering === 'provide' ? 'Comment' : 'Why there will be no values'}
          description={answering === 'provide' ? 'For those who decide. Never the value itself.' : undefined}
          maxLength={2000}
          autosize
          minRows={2}
          maxRows={6}
          value={comment}
          onChange={(event) => {
            setComment(event.currentTarget.value)
            refusalKey.current = newKey()
            edited()
          }}
        />
        {error !== undefined && !(error instanceof Fault) && (
          <Alert color="red" role="alert" title="This was not sent">
            {sentence(error)}
          </Alert>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={close} disabled={busy}>
            Cancel
          </Button>
          <ActionButton
            type="submit"
            loading={busy}
            blocked={blocked}
            {...(answering === 'refuse' && { color: 'red' })}
          >
            {answering === 'provide' ? 'Seal and send' : 'Refuse'}
          </ActionButton>
        </Group>
      </Stack>
    </form>
  )
}

function missing(key: string): Promise<never> {
  return Promise.reject(new Fault(key, 'Type the new value.'))
}
