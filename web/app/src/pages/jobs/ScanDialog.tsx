import { Alert, Anchor, Modal, NativeSelect, Radio, Stack, Text } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { namesQuery } from '../../api/connections'
import { type Job, queue, underWay } from '../../api/jobs'
import { codeOf, sentence } from '../../api/problem'
import { paths } from '../../paths'
import { DialogButtons } from '../../ui/DialogButtons'
import { submits } from '../../ui/submits'
import { typeWords } from './jobWords'

type Kind = 'discover' | 'fingerprint'

const kinds: { value: Kind; label: string }[] = [
  { value: 'discover', label: 'Scan: what is there' },
  { value: 'fingerprint', label: 'Fingerprints: which secrets share a value' },
]

interface Props {
  connection?: string | undefined
  close: () => void
}

/** Starts a job over a connection, and leads to it. */
export function ScanDialog({ connection: fixed, close }: Props) {
  const cache = useQueryClient()
  const navigate = useNavigate()
  const connections = useQuery(namesQuery)
  const able = (connections.data ?? []).filter(({ state }) => state === 'active')
  const [chosen, setChosen] = useState(fixed ?? '')
  const [kind, setKind] = useState<Kind>('discover')
  const [error, setError] = useState<unknown>()
  const [running, setRunning] = useState<Job>()
  const [busy, setBusy] = useState(false)
  const key = useRef(newKey())
  const connection = chosen || able[0]?.name || ''
  const other = () => {
    key.current = newKey()
    setError(undefined)
    setRunning(undefined)
  }
  const start = async () => {
    setBusy(true)
    other()
    try {
      const job = await queue(kind, connection, key.current)
      await cache.invalidateQueries({ queryKey: ['jobs'] })
      close()
      void navigate({ to: paths.job(job.id) })
    } catch (caught) {
      setError(caught)
      if (codeOf(caught) === 'scan_running') setRunning(await underWay(kind, connection).catch(() => undefined))
      setBusy(false)
    }
  }
  return (
    <Modal opened onClose={close} title="Start a scan">
      <form onSubmit={submits(start)}>
        <Stack>
          {fixed === undefined && (
            <NativeSelect
              label="Connection"
              value={connection}
              onChange={(event) => {
                other()
                setChosen(event.currentTarget.value)
              }}
              data={able.map(({ name }) => name)}
              error={
                connections.error
                  ? sentence(connections.error)
                  : connections.data && able.length === 0
                    ? 'There is no connection that takes scans.'
                    : undefined
              }
              data-autofocus
            />
          )}
          <Radio.Group
            label="What to do"
            value={kind}
            onChange={(value) => {
              other()
              setKind(value as Kind)
            }}
          >
            <Stack gap="xs" mt={6}>
              {kinds.map(({ value, label }) => (
                <Radio key={value} value={value} label={label} />
              ))}
            </Stack>
          </Radio.Group>
          <Text size="sm" c="dimmed">
            {typeWords[kind].says}
          </Text>
          {error !== undefined && (
            <Alert color={running ? 'yellow' : 'red'} variant="light" role="alert">
              {sentence(error)}{' '}
              {running && (
                <Anchor component={Link} to={paths.job(running.id)} inherit onClick={close}>
                  See how it gets on
                </Anchor>
              )}
            </Alert>
          )}
          <DialogButtons close={close} busy={busy} disabled={connection === ''}>
            Start
          </DialogButtons>
        </Stack>
      </form>
    </Modal>
  )
}
