import { Modal, Stack, Textarea, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { change, type Integration } from '../../api/integrations'
import { Problem } from '../../parts/Problem'
import { withStepUp } from '../../session/stepUp'
import { DialogButtons } from '../../ui/DialogButtons'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'
import { byAgent, told } from './integrationWords'
import { SecretInput } from './SecretInput'
import { type Told, ToldInputs } from './ToldInputs'

/** Replaces the settings of an integration. Its secrets stay, unless they would go to another place. */
export function ChangeIntegration({ integration, close }: { integration: Integration; close: () => void }) {
  const cache = useQueryClient()
  const { name, kind } = integration
  const before = {
    address: integration.address ?? '',
    ca: integration.ca ?? '',
    cluster: integration.cluster ?? '',
    namespace: integration.namespace ?? '',
    description: integration.description ?? '',
    token: '',
  }
  const [of, setOf] = useState(before)
  const [tells, setTells] = useState<Told>({
    notices: [...integration.notices],
    projects: integration.projects.join(' '),
  })
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const set = (next: Partial<typeof of>) => {
    key.current = newKey() // another intent
    setOf((now) => ({ ...now, ...next }))
  }
  const argo = kind === 'argo-cd'
  const elsewhere = argo && (of.address !== before.address || of.ca !== before.ca)
  const submit = () =>
    attempt(async () => {
      await withStepUp(() =>
        change(
          name,
          {
            ...(of.description.trim() && { description: of.description.trim() }),
            ...(told(kind) && {
              notices: tells.notices,
              projects: tells.projects.split(/[\s,]+/).filter(Boolean),
            }),
            ...(argo && {
              address: of.address.trim(),
              ...(of.ca.trim() && { ca: of.ca }),
              ...(of.namespace.trim() && { namespace: of.namespace.trim() }),
              ...(elsewhere && { token: of.token.trim() }),
            }),
            ...(byAgent(kind) && { cluster: of.cluster }),
          },
          key.current,
        ),
      )
      await cache.invalidateQueries({ queryKey: ['integrations'] })
      close()
    })
  return (
    <Modal opened onClose={close} title={`Change ${name}`} size="lg">
      <form autoComplete="off" onSubmit={submits(submit)}>
        <Stack>
          {told(kind) && (
            <ToldInputs
              value={tells}
              change={(to) => {
                key.current = newKey()
                setTells(to)
              }}
            />
          )}
          {argo && (
            <>
              <TextInput
                label="Address"
                required
                withAsterisk={false}
                maxLength={512}
                value={of.address}
                onChange={(event) => set({ address: event.currentTarget.value })}
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
              <TextInput
                label="Namespace of applications"
                description="Unless a mapping says otherwise; without one, where Argo CD itself is"
                maxLength={63}
                value={of.namespace}
                onChange={(event) => set({ namespace: event.currentTarget.value })}
              />
              {elsewhere && (
                <SecretInput
                  label="Token"
                  description="For another address, or other authorities, it must be given again: the one before never goes there."
                  value={of.token}
                  change={(token) => set({ token })}
                />
              )}
            </>
          )}
          {byAgent(kind) && (
            <TextInput
              label="Cluster"
              description="Whose agents look"
              required
              withAsterisk={false}
              maxLength={40}
              value={of.cluster}
              onChange={(event) => set({ cluster: event.currentTarget.value })}
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
          <DialogButtons close={close} busy={busy} disabled={elsewhere && of.token.trim() === ''}>
            Change it
          </DialogButtons>
        </Stack>
      </form>
    </Modal>
  )
}
