import { Modal, NativeSelect, SegmentedControl, Stack, Textarea, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { namesQuery } from '../../api/connections'
import { addMapping, type Integration, type Mapping } from '../../api/integrations'
import { Problem } from '../../parts/Problem'
import { withStepUp } from '../../session/stepUp'
import { DialogButtons } from '../../ui/DialogButtons'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'
import { labelsFrom, targetKinds } from './integrationWords'

type TargetKind = Mapping['target']['kind']

/** Says which application uses which secrets: one by name, or all that have some labels. */
export function MapDialog({ integration, close }: { integration: Integration; close: () => void }) {
  const cache = useQueryClient()
  const connections = useQuery(namesQuery)
  const kinds = targetKinds[integration.kind]
  const [by, setBy] = useState<'name' | 'labels'>('name')
  const [kind, setKind] = useState<TargetKind>(kinds[0] ?? 'Application')
  const [of, setOf] = useState({
    connection: '',
    ref: '',
    labels: '',
    name: '',
    namespace: '',
    selector: '',
    secret: '',
  })
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const field = (name: keyof typeof of) => ({
    value: of[name],
    onChange: (event: { currentTarget: { value: string } }) => {
      key.current = newKey() // another intent
      const { value } = event.currentTarget
      setOf((before) => ({ ...before, [name]: value }))
    },
  })
  const labels = labelsFrom(of.labels)
  const connection = of.connection || connections.data?.[0]?.name || ''
  const ready = connection !== '' && of.name !== '' && (by === 'name' ? of.ref !== '' : labels !== undefined)
  const submit = () =>
    attempt(async () => {
      await withStepUp(() =>
        addMapping(
          integration.name,
          {
            connection,
            discovered: false,
            ...(by === 'name' ? { ref: of.ref.trim() } : labels && { labels }),
            target: {
              kind,
              name: of.name.trim(),
              ...(of.namespace.trim() && kind !== 'Namespace' && { namespace: of.namespace.trim() }),
              ...(of.selector.trim() && kind === 'Namespace' && { selector: of.selector.trim() }),
              ...(of.secret.trim() && { secret: of.secret.trim() }),
            },
          },
          key.current,
        ),
      )
      await cache.invalidateQueries({ queryKey: ['integrations'] })
      close()
    })
  return (
    <Modal opened onClose={close} title={`Add a mapping to ${integration.name}`} size="lg">
      <form onSubmit={submits(submit)}>
        <Stack>
          <NativeSelect
            label="Connection"
            {...field('connection')}
            value={connection}
            data={(connections.data ?? []).map(({ name }) => name)}
            data-autofocus
          />
          <SegmentedControl
            aria-label="Which secrets"
            value={by}
            onChange={(to) => setBy(to as typeof by)}
            data={[
              { value: 'name', label: 'One secret' },
              { value: 'labels', label: 'All with some labels' },
            ]}
          />
          {by === 'name' ? (
            <TextInput
              label="Secret"
              description="Its name in the connection"
              placeholder="prod/db/password"
              required
              withAsterisk={false}
              maxLength={512}
              {...field('ref')}
            />
          ) : (
            <Textarea
              label="Labels"
              description="NAME=VALUE, one a line; a secret must have all of them"
              placeholder="team=payments"
              required
              withAsterisk={false}
              autosize
              minRows={2}
              error={of.labels.trim() !== '' && !labels ? 'Write NAME=VALUE, one a line' : undefined}
              {...field('labels')}
            />
          )}
          {kinds.length > 1 && (
            <NativeSelect
              label="Kind"
              value={kind}
              onChange={(event) => setKind(event.currentTarget.value as TargetKind)}
              data={kinds}
            />
          )}
          <TextInput
            label={kind === 'Namespace' ? 'Namespace' : kind}
            description={kind === 'Namespace' ? 'Whose workloads are looked at' : 'Its name'}
            placeholder="shop"
            required
            withAsterisk={false}
            maxLength={253}
            {...field('name')}
          />
          {kind === 'Namespace' ? (
            <TextInput
              label="Workloads"
              description="LABEL=VALUE, apart by commas; without it, all of the namespace"
              placeholder="app=web"
              maxLength={1024}
              {...field('selector')}
            />
          ) : (
            <TextInput
              label="Namespace"
              description={kind === 'Application' ? 'Where Argo CD keeps it, if that is not its own' : 'Where it is'}
              placeholder={kind === 'Application' ? 'argocd' : 'flux-system'}
              maxLength={63}
              {...field('namespace')}
            />
          )}
          <TextInput
            label="Kubernetes Secret"
            description="NAME or NAMESPACE/NAME, if no ExternalSecret says which one holds it"
            maxLength={317}
            {...field('secret')}
          />
          <Problem error={error} />
          <DialogButtons close={close} busy={busy} disabled={!ready}>
            Add it
          </DialogButtons>
        </Stack>
      </form>
    </Modal>
  )
}
