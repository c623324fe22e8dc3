import { Button, Group, Modal, NativeSelect, Stack, Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { type Rotated, rotate } from '../../api/integrations'
import { Problem } from '../../parts/Problem'
import { withStepUp } from '../../session/stepUp'
import { ShownOnce } from '../../ui/ShownOnce'
import { submits } from '../../ui/submits'
import { useAttempt } from '../../ui/useAttempt'
import { When } from '../../ui/When'
import { type Secret, secretWords } from './integrationWords'
import { SecretInput } from './SecretInput'

/** Puts another secret in the place of one. A signing key is made by the server, and shown here once. */
export function RotateDialog({ name, secret, close }: { name: string; secret: Secret; close: () => void }) {
  const cache = useQueryClient()
  const [made, setMade] = useState<Rotated>()
  const [value, setValue] = useState('')
  const [overlap, setOverlap] = useState('86400')
  const { busy, error, attempt } = useAttempt()
  const key = useRef(newKey())
  const own = secret === 'signing_key' // it is made here, and shown once
  const what = secretWords[secret].toLowerCase()
  const submit = () =>
    attempt(async () => {
      try {
        const rotated = await withStepUp(() =>
          rotate(
            name,
            {
              secret,
              ...(secret === 'url' && { url: value.trim() }),
              ...(secret === 'token' && { token: value.trim() }),
              ...(own && { overlap_seconds: Number(overlap) }),
            },
            key.current,
          ),
        )
        await cache.invalidateQueries({ queryKey: ['integrations'] })
        if (own) setMade(rotated)
        else close()
      } catch (caught) {
        key.current = newKey() // a key is never told twice, so the same one would be refused
        throw caught
      }
    })
  return (
    <Modal opened onClose={close} title={`Another ${what} for ${name}`} closeOnClickOutside={!made}>
      {made?.signing_key ? (
        <Stack>
          <Text>Give it to your program. It is not shown again.</Text>
          <ShownOnce what="signing key" text={made.signing_key} />
          {made.overlap_until && (
            <Text size="sm" c="dimmed">
              The one before signs, too, until <When at={made.overlap_until} />.
            </Text>
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Close
            </Button>
          </Group>
        </Stack>
      ) : (
        <form autoComplete="off" onSubmit={submits(submit)}>
          <Stack>
            {own ? (
              <NativeSelect
                label="The one before still signs for"
                description="Every message has two signatures meanwhile, so that nothing is lost while your program changes over."
                value={overlap}
                onChange={(event) => setOverlap(event.currentTarget.value)}
                data={[
                  { value: '0', label: 'no longer: it is known to others' },
                  { value: '3600', label: 'an hour' },
                  { value: '86400', label: 'a day' },
                  { value: '604800', label: '7 days' },
                ]}
              />
            ) : (
              <SecretInput
                label={secretWords[secret]}
                description="It takes the place of the one before at once, and is never shown."
                value={value}
                change={setValue}
              />
            )}
            <Problem error={error} />
            <Group justify="flex-end">
              <Button variant="default" onClick={close}>
                Cancel
              </Button>
              <Button type="submit" loading={busy} disabled={!own && value.trim() === ''}>
                {own ? 'Make another one' : 'Set it'}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  )
}
