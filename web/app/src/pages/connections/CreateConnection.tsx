import { Modal, NativeSelect, Stack, Text, Textarea, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { create, namesQuery, type Provider } from '../../api/connections'
import { Problem } from '../../parts/Problem'
import { paths } from '../../paths'
import { DialogButtons } from '../../ui/DialogButtons'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'
import { providerWords } from './providers'

const nameRule = /^[a-z][a-z0-9-]{0,39}$/

const ruleWords = 'Small letters, digits and -, beginning with a letter'

/** Names a connection. What the agents need for it is shown on its page. */
export function CreateConnection({ close }: { close: () => void }) {
  const cache = useQueryClient()
  const navigate = useNavigate()
  const there = useQuery(namesQuery)
  const clusters = [...new Set((there.data ?? []).map(({ cluster }) => cluster))].sort()
  const [name, setName] = useState('')
  const [provider, setProvider] = useState<Provider>('vault')
  const [cluster, setCluster] = useState('')
  const [description, setDescription] = useState('')
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const typed = (set: (text: string) => void) => (event: { currentTarget: { value: string } }) => {
    key.current = newKey() // another intent
    set(event.currentTarget.value)
  }
  const submit = async () => {
    await attempt(async () => {
      const made = await create({ name, provider, cluster, description: description.trim() }, key.current)
      await cache.invalidateQueries({ queryKey: ['connections'] })
      close()
      void navigate({ to: paths.connection(made.name) })
    })
  }
  const wrong = (text: string) => (text !== '' && !nameRule.test(text) ? ruleWords : undefined)
  return (
    <Modal opened onClose={close} title="New connection">
      <form onSubmit={submits(submit)}>
        <Stack>
          <TextInput
            label="Name"
            description="The first part of the names of its secrets. It cannot be changed."
            placeholder="vault-eu"
            required
            withAsterisk={false}
            maxLength={40}
            value={name}
            onChange={typed(setName)}
            error={wrong(name)}
            data-autofocus
          />
          <NativeSelect
            label="Kind of store"
            value={provider}
            onChange={typed((text) => setProvider(text as Provider))}
            data={Object.entries(providerWords).map(([value, { label }]) => ({ value, label }))}
          />
          <Text size="sm" c="dimmed">
            {providerWords[provider].needs} All of that goes into the agents' configuration, and none of it here.
          </Text>
          <TextInput
            label="Cluster"
            description="Whose agents reach it"
            placeholder={clusters[0] ?? 'payments'}
            required
            withAsterisk={false}
            maxLength={40}
            list="connection-clusters"
            value={cluster}
            onChange={typed(setCluster)}
            error={wrong(cluster)}
          />
          <datalist id="connection-clusters">
            {clusters.map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
          <Textarea
            label="Description"
            placeholder="Vault of the payments team"
            maxLength={2000}
            autosize
            minRows={2}
            maxRows={6}
            value={description}
            onChange={typed(setDescription)}
          />
          <Problem error={error} />
          <DialogButtons close={close} busy={busy} disabled={!nameRule.test(name) || !nameRule.test(cluster)}>
            Create
          </DialogButtons>
        </Stack>
      </form>
    </Modal>
  )
}
