import { Badge, Button, Group, Stack, Text } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { permissionsQuery } from '../../api/governance'
import { type Machine, type MachineToken, revokeToken } from '../../api/machines'
import { Section } from '../../parts/Facts'
import { reach } from '../../parts/governance/words'
import classes from '../../parts/Rows.module.css'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'
import { ReasonDialog } from '../../ui/ReasonDialog'
import { useNow, When } from '../../ui/When'

const IssueDialog = lazily(() => import('./IssueDialog'), 'IssueDialog')

/** How many tokens a machine has at most (docs/reference/limits.md). */
const most = 50

/** What a machine comes in by. */
export function Tokens({ machine }: { machine: Machine }) {
  const cache = useQueryClient()
  const now = useNow(10)
  const [issuing, setIssuing] = useState(false)
  const [ending, setEnding] = useState<MachineToken>()
  const blocked =
    machine.state === 'disabled'
      ? 'It is kept out. Let it in first.'
      : machine.tokens.length >= most
        ? `It has ${most} tokens, which is the most. Revoke one first.`
        : undefined
  return (
    <Section
      title="Tokens"
      action={
        <ActionButton size="xs" variant="default" blocked={blocked} onClick={() => setIssuing(true)}>
          Make a token
        </ActionButton>
      }
    >
      {machine.tokens.length === 0 && <Text c="dimmed">None: it cannot come in.</Text>}
      <ul className={classes.list} aria-label={`Tokens of ${machine.name}`}>
        {machine.tokens.map((token) => (
          <li key={token.id} className={classes.item}>
            <Stack gap={2} flex={1} miw={220}>
              <Group gap={8}>
                <Text size="md" fw={500}>
                  {token.name}
                </Text>
                <Text size="md" c="dimmed">
                  {reach(token.scope)}
                </Text>
                {Date.parse(token.until) <= now && <Badge color="gray">Ended</Badge>}
              </Group>
              <Text size="md">
                <Doing of={token.permissions} />
              </Text>
              <Text size="sm" c="dimmed">
                {token.used_at ? (
                  <>
                    Last used <When at={token.used_at} />
                  </>
                ) : (
                  'Never used'
                )}
                , ends <When at={token.until} />
              </Text>
            </Stack>
            <Button
              size="xs"
              variant="default"
              onClick={() => setEnding(token)}
              aria-label={`Revoke the token ${token.name}`}
            >
              Revoke
            </Button>
          </li>
        ))}
      </ul>
      {issuing && (
        <IssueDialog
          machine={machine}
          close={() => {
            setIssuing(false)
            void cache.invalidateQueries({ queryKey: ['machines'] })
          }}
        />
      )}
      <ReasonDialog
        opened={ending !== undefined}
        close={() => setEnding(undefined)}
        title={`Revoke the token ${ending?.name ?? ''}`}
        about="Whoever uses it is refused from that moment."
        label="Reason, for the audit"
        confirm="Revoke"
        danger
        act={async (reason) => {
          await revokeToken(machine.id, ending?.id ?? '', reason)
          await cache.invalidateQueries({ queryKey: ['machines'] })
        }}
      />
    </Section>
  )
}

/** Permissions in words; by their names until those are here. */
function Doing({ of }: { of: string[] }) {
  const known = useQuery(permissionsQuery)
  const words = new Map((known.data?.permissions ?? []).map((p) => [p.permission as string, p.sentence]))
  return `May ${of.map((permission) => words.get(permission) ?? permission).join('; ')}`
}
