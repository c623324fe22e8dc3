import { Alert, Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { sentence } from '../../api/problem'
import { assign, type Secret } from '../../api/secrets'
import { SecretName } from '../../parts/SecretName'
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
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void save()
        }}
      >
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
          {error !== undefined && (
            <Alert color="red" variant="light" role="alert">
              {sentence(error)}
            </Alert>
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button type="submit" loading={busy}>
              Assign
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
