import { Modal, NativeSelect, Stack, Text, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { type Invitation, invite } from '../../api/agents'
import { newKey } from '../../api/client'
import { namesQuery } from '../../api/connections'
import { Problem } from '../../parts/Problem'
import { useMe } from '../../session/who'
import { DialogButtons } from '../../ui/DialogButtons'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'
import { Enrolment } from './Enrolment'

/** What names an agent, a cluster or a connection. */
export const nameRule = /^[a-z][a-z0-9-]{0,39}$/

/** Invites an agent, then shows how it enrols. The token lives in this dialog, and ends with it. */
export function InviteDialog({ close }: { close: () => void }) {
  const cache = useQueryClient()
  const may = useMe().permissions.includes('connection.list')
  const connections = useQuery({ ...namesQuery, enabled: may })
  const clusters = [...new Set((connections.data ?? []).map(({ cluster }) => cluster))].sort()
  const [name, setName] = useState('')
  const [cluster, setCluster] = useState('')
  const [life, setLife] = useState('600')
  const { busy, error, attempt } = useAttempt()
  const [made, setMade] = useState<Invitation>()
  const key = useRef(newKey())
  const typed = (set: (text: string) => void) => (event: { currentTarget: { value: string } }) => {
    key.current = newKey() // another intent
    set(event.currentTarget.value)
  }
  const submit = async () => {
    await attempt(async () => {
      try {
        setMade(await invite({ name, cluster, ttl_seconds: Number(life) }, key.current))
        void cache.invalidateQueries({ queryKey: ['agents'] })
      } catch (caught) {
        key.current = newKey() // a token is never told twice, so the same key would be refused
        throw caught
      }
    })
  }
  const wrong = (text: string) =>
    text !== '' && !nameRule.test(text) ? 'Small letters, digits and -, beginning with a letter' : undefined
  return (
    <Modal
      opened
      onClose={close}
      title={made ? `Enrol ${name}` : 'Invite an agent'}
      size={made ? 'xl' : 'md'}
      closeOnClickOutside={!made}
    >
      {made ? (
        <Enrolment invitation={made} close={close} />
      ) : (
        <form onSubmit={submits(submit)}>
          <Stack>
            <TextInput
              label="Name"
              description="As you will know it in lists, such as the name of its host"
              placeholder="payments-1"
              required
              withAsterisk={false}
              maxLength={40}
              value={name}
              onChange={typed(setName)}
              error={wrong(name)}
              data-autofocus
            />
            <TextInput
              label="Cluster"
              description="Agents of one cluster serve the same connections"
              placeholder={clusters[0] ?? 'payments'}
              required
              withAsterisk={false}
              maxLength={40}
              list="clusters"
              value={cluster}
              onChange={typed(setCluster)}
              error={wrong(cluster)}
            />
            <datalist id="clusters">
              {clusters.map((one) => (
                <option key={one} value={one} />
              ))}
            </datalist>
            {cluster !== '' && may && connections.data && !wrong(cluster) && !clusters.includes(cluster) && (
              <Text size="sm" c="dimmed">
                No connection is in a cluster {cluster} yet. Name one for it afterwards.
              </Text>
            )}
            <NativeSelect
              label="The token is good for"
              value={life}
              onChange={typed(setLife)}
              data={[
                { value: '300', label: '5 minutes' },
                { value: '600', label: '10 minutes' },
                { value: '900', label: '15 minutes' },
              ]}
            />
            <Problem error={error} />
            <DialogButtons close={close} busy={busy} disabled={!nameRule.test(name) || !nameRule.test(cluster)}>
              Make a token
            </DialogButtons>
          </Stack>
        </form>
      )}
    </Modal>
  )
}
