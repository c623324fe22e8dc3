import { Modal, Stack, Text, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { assign, type Secret } from '../../api/secrets'
import { Problem } from '../../parts/Problem'
import { SecretName } from '../../parts/SecretName'
import { DialogButtons } from '../../ui/DialogButtons'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'

/** Says by hand whose a secret is. An empty field leaves it to the rules. */
export function AssignDialog({ secret, close }: { secret: Secret; close: () => void }) {
  const cache = useQueryClient()
  const [owner, setOwner] = useState(secret.owner_from === 'hand' ? (secret.owner ?? '') : '')
  const [environment, setEnvironment] = useState(secret.environment_from === 'hand' ? (secret.environment ?? '') : '')
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const typed = (set: (text: string) => void) => (event: { currentTarget: { value: string } }) => {
    key.current = newKey() // another intent
    set(event.currentTarget.value)
  }
  const save = async () => {
    await attempt(async () => {
      await assign(secret.id, { owner: owner.trim(), environment: environment.trim() }, key.current)
      await cache.invalidateQueries({ queryKey: ['secrets'] })
      close()
    })
  }
  return (
    <Modal opened onClose={close} title="Say whose it is">
      <form onSubmit={submits(save)}>
        <Stack>
          <Text>
            <SecretName secret={secret.secret} />
          </Text>
          <TextInput
            label="Owner"
            description="A team, or whoever answers for it. Empty leaves it to the rules."
            placeholder={secret.owner_from === 'rule' ? `${secret.owner}, by a rule` : ''}
            maxLength={128}
            value={owner}
            onChange={typed(setOwner)}
            data-autofocus
          />
          <TextInput
            label="Environment"
            description="What it serves. Empty leaves it to the rules."
            placeholder={secret.environment_from === 'rule' ? `${secret.environment}, by a rule` : ''}
            maxLength={128}
            value={environment}
            onChange={typed(setEnvironment)}
          />
          <Problem error={error} />
          <DialogButtons close={close} busy={busy}>
            Assign
          </DialogButtons>
        </Stack>
      </form>
    </Modal>
  )
}
