import { Button, Group, Modal, NativeSelect, Stack, Text, Textarea, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { installationQuery } from '../../api/installation'
import { type Created, create } from '../../api/integrations'
import { Problem } from '../../parts/Problem'
import { paths } from '../../paths'
import { withStepUp } from '../../session/stepUp'
import { DialogButtons } from '../../ui/DialogButtons'
import { ShownOnce } from '../../ui/ShownOnce'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'
import { byAgent, type Kind, kindWords, nameRule, nameWords, told } from './integrationWords'
import { SecretInput } from './SecretInput'
import { type Told, ToldInputs } from './ToldInputs'

/** Names something that is told, or looked at. A signing key is shown here, and nowhere else. */
export function CreateIntegration({ close }: { close: () => void }) {
  const navigate = useNavigate()
  const [made, setMade] = useState<Created>()
  const done = (created: Created) => {
    if (created.signing_key) return setMade(created)
    close()
    void navigate({ to: paths.integration(created.name) })
  }
  const leave = () => {
    close()
    if (made) void navigate({ to: paths.integration(made.name) })
  }
  return (
    <Modal
      opened
      onClose={leave}
      title={made ? `The signing key of ${made.name}` : 'New integration'}
      size="lg"
      closeOnClickOutside={!made}
    >
      {made?.signing_key ? (
        <Stack>
          <Text>
            Put it where your program keeps its secrets: with it the program knows that a message is from here. It is
            not shown again; another one can be made at any time, and both count while they overlap.
          </Text>
          <ShownOnce what="signing key" text={made.signing_key} />
          <Group justify="flex-end">
            <Button variant="default" onClick={leave}>
              Close
            </Button>
          </Group>
        </Stack>
      ) : (
        <Ask close={close} done={done} />
      )}
    </Modal>
  )
}

function Ask({ close, done }: { close: () => void; done: (created: Created) => void }) {
  const cache = useQueryClient()
  const watching = useQuery(installationQuery).data?.gitops ?? false
  const [kind, setKind] = useState<Kind>('slack')
  const [of, setOf] = useState({ name: '', description: '', secret: '', address: '', ca: '', cluster: '' })
  const [tells, setTells] = useState<Told>({ notices: [], projects: '' })
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const set = (change: Partial<typeof of>) => {
    key.current = newKey() // another intent
    setOf((before) => ({ ...before, ...change }))
  }
  const submit = () =>
    attempt(async () => {
      try {
        const created = await withStepUp(() =>
          create(
            {
              name: of.name,
              kind,
              ...(of.description.trim() && { description: of.description.trim() }),
              ...(told(kind) && {
                url: of.secret.trim(),
                notices: tells.notices,
                projects: tells.projects.split(/[\s,]+/).filter(Boolean),
              }),
              ...(kind === 'argo-cd' && {
                address: of.address.trim(),
                token: of.secret.trim(),
                ...(of.ca.trim() && { ca: of.ca }),
              }),
              ...(byAgent(kind) && { cluster: of.cluster }),
            },
            key.current,
          ),
        )
        await cache.invalidateQueries({ queryKey: ['integrations'] })
        done(created)
      } catch (caught) {
        key.current = newKey() // a signing key is never told twice, so the same key would be refused
        throw caught
      }
    })
  const wrong = (text: string) => (text !== '' && !nameRule.test(text) ? nameWords : undefined)
  const ready =
    nameRule.test(of.name) &&
    (byAgent(kind) ? nameRule.test(of.cluster) : of.secret.trim() !== '') &&
    (kind !== 'argo-cd' || of.address.trim() !== '')
  return (
    <form autoComplete="off" onSubmit={submits(submit)}>
      <Stack>
        <NativeSelect
          label="Kind"
          value={kind}
          onChange={(event) => {
            key.current = newKey()
            setKind(event.currentTarget.value as Kind)
          }}
          data={Object.entries(kindWords).map(([value, { label }]) => ({
            value,
            label,
            disabled: !watching && !told(value as Kind),
          }))}
          data-autofocus
        />
        <Text size="sm" c="dimmed">
          {kindWords[kind].about}
          {!watching &&
            ' Argo CD, Flux and clusters can be joined once an operator lets this server watch rollouts: SB_GITOPS_ENABLED.'}
        </Text>
        <TextInput
          label="Name"
          description="It cannot be changed."
          placeholder="payments-channel"
          required
          withAsterisk={false}
          maxLength={40}
          value={of.name}
          onChange={(event) => set({ name: event.currentTarget.value })}
          error={wrong(of.name)}
        />
        {told(kind) && (
          <>
            <SecretInput
              label="Address"
              description="https only. Whoever knows it can write there, so it is sealed, and only its host is ever shown."
              value={of.secret}
              change={(secret) => set({ secret })}
            />
            <ToldInputs value={tells} change={setTells} />
          </>
        )}
        {kind === 'argo-cd' && (
          <>
            <TextInput
              label="Address"
              description="Of its API and its pages"
              placeholder="https://argocd.example.com"
              required
              withAsterisk={false}
              maxLength={512}
              value={of.address}
              onChange={(event) => set({ address: event.currentTarget.value })}
            />
            <SecretInput
              label="Token"
              description="Of an account that may get applications, and nothing else. It is sealed, and never shown."
              value={of.secret}
              change={(secret) => set({ secret })}
            />
            <Textarea
              label="Certificate authorities"
              description="PEM of the only ones that count. Without them, those of the system of the server do."
              autosize
              minRows={2}
              maxRows={6}
              maxLength={32768}
              value={of.ca}
              onChange={(event) => set({ ca: event.currentTarget.value })}
            />
          </>
        )}
        {byAgent(kind) && (
          <TextInput
            label="Cluster"
            description="Whose agents look"
            placeholder="payments"
            required
            withAsterisk={false}
            maxLength={40}
            value={of.cluster}
            onChange={(event) => set({ cluster: event.currentTarget.value })}
            error={wrong(of.cluster)}
          />
        )}
        <Textarea
          label="Description"
          maxLength={2000}
          autosize
          minRows={2}
          maxRows={6}
          value={of.description}
          onChange={(event) => set({ description: event.currentTarget.value })}
        />
        <Problem error={error} />
        <DialogButtons close={close} busy={busy} disabled={!ready}>
          Create
        </DialogButtons>
      </Stack>
    </form>
  )
}
