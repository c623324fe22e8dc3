import { Modal, NativeSelect, Stack, Text, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { governanceQuery, permissionsQuery } from '../../api/governance'
import { giveGrant } from '../../api/people'
import { useMe } from '../../session/who'
import { DialogButtons } from '../../ui/DialogButtons'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'
import { where } from '../governance/words'
import { Problem } from '../Problem'
import { ScopeInputs } from '../ScopeInputs'
import { bare, type ScopeText } from '../scopeText'
import { type Holder, refreshHolders } from './holder'

/** Gives somebody a role, everywhere or in a part of the world, for good or for a time. */
export function GiveDialog({ person, close }: { person: Holder; close: () => void }) {
  const cache = useQueryClient()
  const may = useMe().permissions.includes('governance.read')
  const known = useQuery(permissionsQuery)
  const governance = useQuery({ ...governanceQuery, enabled: may })
  const [role, setRole] = useState('developer')
  const [scope, setScope] = useState<ScopeText>({})
  const [until, setUntil] = useState('')
  const [reason, setReason] = useState('')
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const roles = [
    ...(known.data?.roles ?? []),
    ...(governance.data?.objects ?? [])
      .filter(({ kind }) => kind === 'Role')
      .map(({ name, spec }) => ({ name, description: String((spec as { description?: string }).description ?? '') })),
  ]
  const everywhere = Object.keys(bare(scope)).length === 0
  const submit = async () => {
    await attempt(async () => {
      try {
        const end = until ? { until: new Date(until).toISOString() } : {}
        await giveGrant(person.id, { role, scope: bare(scope), reason: reason.trim(), ...end }, key.current)
        await refreshHolders(cache)
        close()
      } catch (caught) {
        key.current = newKey()
        throw caught
      }
    })
  }
  return (
    <Modal opened onClose={close} title={`Give ${person.name} a role`} size="lg">
      <form onSubmit={submits(submit)}>
        <Stack>
          <Problem error={error} />
          <NativeSelect
            label="Role"
            description={roles.find(({ name }) => name === role)?.description}
            value={role}
            onChange={(event) => setRole(event.currentTarget.value)}
            data={roles.map(({ name }) => name)}
            data-autofocus
          />
          <ScopeInputs value={scope} change={setScope} />
          <Text size="md">
            {person.name} will be {role} {everywhere ? 'everywhere' : `for ${where(bare(scope))}`}.
          </Text>
          <TextInput
            label="Until"
            description="Empty: for good."
            type="datetime-local"
            value={until}
            onChange={(event) => setUntil(event.currentTarget.value)}
          />
          <TextInput
            label="Reason, for the audit"
            maxLength={500}
            value={reason}
            onChange={(event) => setReason(event.currentTarget.value)}
          />
          <DialogButtons close={close} busy={busy}>
            Give the role
          </DialogButtons>
        </Stack>
      </form>
    </Modal>
  )
}
