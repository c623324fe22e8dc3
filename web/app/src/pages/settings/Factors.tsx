import { Badge, Button, Group, Stack, Text } from '@mantine/core'
import { IconDeviceMobile, IconFingerprint, IconShieldLock } from '@tabler/icons-react'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { newKey } from '../../api/client'
import { type Factor, factorsQuery, removeFactor } from '../../api/me'
import { Section } from '../../parts/Facts'
import classes from '../../parts/Rows.module.css'
import { withStepUp } from '../../session/stepUp'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'
import { Empty, Failed, Loading } from '../../ui/states'
import { When } from '../../ui/When'

const AddPasskey = lazily(() => import('./AddPasskey'), 'AddPasskey')

const AddTotp = lazily(() => import('./AddTotp'), 'AddTotp')

const RecoveryCodes = lazily(() => import('./RecoveryCodes'), 'RecoveryCodes')

/** How many factors somebody has at most (docs/reference/limits.md). */
const most = 5

type Open = 'passkey' | 'totp' | 'codes' | undefined

const kinds: Record<Factor['kind'], { label: string; icon: typeof IconFingerprint }> = {
  passkey: { label: 'Passkey', icon: IconFingerprint },
  totp: { label: 'Authenticator app', icon: IconDeviceMobile },
}

/** What somebody proves that it is them with, beside the password. */
export function Factors() {
  const factors = useQuery(factorsQuery)
  const cache = useQueryClient()
  const [open, setOpen] = useState<Open>()
  const [error, setError] = useState<unknown>()
  const refresh = () => cache.invalidateQueries({ queryKey: factorsQuery.queryKey })
  const remove = async (id: string) => {
    setError(undefined)
    const key = newKey()
    try {
      await withStepUp(() => removeFactor(id, key))
      await refresh()
    } catch (caught) {
      setError(caught)
    }
  }
  const items = factors.data?.items ?? []
  const full =
    items.length >= most ? `You have ${most} second factors, which is the most. Remove one first.` : undefined
  const close = () => {
    setOpen(undefined)
    void refresh()
  }
  return (
    <Section
      title="Second factors"
      action={
        factors.data && (
          <Group gap={8}>
            <ActionButton size="xs" variant="default" blocked={full} onClick={() => setOpen('passkey')}>
              Add a passkey
            </ActionButton>
            <ActionButton size="xs" variant="default" blocked={full} onClick={() => setOpen('totp')}>
              Add an authenticator app
            </ActionButton>
          </Group>
        )
      }
    >
      {error !== undefined && <Failed error={error} />}
      {factors.isPending && <Loading what="Loading your second factors" />}
      {factors.error && <Failed error={factors.error} again={() => void factors.refetch()} />}
      {factors.data && items.length === 0 && (
        <Empty icon={IconShieldLock} title="Only your password protects you">
          Some approvals and values need a second factor. Add a passkey or an authenticator app. The first one needs a
          fresh sign-in.
        </Empty>
      )}
      <ul className={classes.list} aria-label="Your second factors">
        {items.map((factor) => {
          const { label, icon: Icon } = kinds[factor.kind]
          return (
            <li key={factor.id} className={classes.item}>
              <Icon size={18} stroke={1.6} aria-hidden />
              <Stack gap={0} flex={1}>
                <Group gap={8}>
                  <Text size="md" fw={500}>
                    {factor.name || label}
                  </Text>
                  {factor.name && <Badge color="gray">{label}</Badge>}
                  {factor.locked_until && <Badge color="red">Locked: too many wrong codes</Badge>}
                </Group>
                <Text size="sm" c="dimmed">
                  Added <When at={factor.enrolled_at} />
                  {factor.used_at ? (
                    <>
                      , last used <When at={factor.used_at} />
                    </>
                  ) : (
                    ', never used'
                  )}
                </Text>
              </Stack>
              <Button
                size="xs"
                variant="default"
                onClick={() => void remove(factor.id)}
                aria-label={`Remove ${factor.name || label}`}
              >
                Remove
              </Button>
            </li>
          )
        })}
      </ul>
      {items.length > 0 && (
        <Group justify="space-between">
          <Text size="md">
            {factors.data?.recovery_codes === 0
              ? 'You have no recovery codes: without your factors only an administrator can help you.'
              : `You have ${factors.data?.recovery_codes} recovery codes left.`}
          </Text>
          <Button size="xs" variant="default" onClick={() => setOpen('codes')}>
            Make new recovery codes
          </Button>
        </Group>
      )}
      {open === 'passkey' && <AddPasskey close={close} />}
      {open === 'totp' && <AddTotp close={close} />}
      {open === 'codes' && <RecoveryCodes close={close} />}
    </Section>
  )
}
