import { Alert, Button, Group, Stack, Text } from '@mantine/core'
import { IconListNumbers, IconPlus } from '@tabler/icons-react'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useReducer, useRef, useState } from 'react'
import { newKey } from '../../api/client'
import { codeOf, sentence } from '../../api/problem'
import { type Ownership, ownershipQuery, setOwnership } from '../../api/secrets'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'
import { Empty, Failed, Loading } from '../../ui/states'
import { RuleRow } from './RuleRow'
import { edit, mostRules, same } from './rules'

const RuleDialog = lazily(() => import('./RuleDialog'), 'RuleDialog')

/** The rules that say whose secrets are. */
export function OwnershipRules() {
  const rules = useQuery(ownershipQuery)
  if (rules.isPending) return <Loading what="Loading the rules" />
  if (rules.error) return <Failed error={rules.error} again={() => void rules.refetch()} />
  return <Editor now={rules.data} />
}

/** Edits a list of rules. `now` is what the server has, and may change while somebody edits. */
function Editor({ now }: { now: Ownership }) {
  const cache = useQueryClient()
  const [base, setBase] = useState(now)
  const [rules, say] = useReducer(edit, now.rules)
  const [open, setOpen] = useState<number | 'new'>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const key = useRef(newKey())
  const blocked = whyNot(useMe(), 'ownership.manage', 'change the rules of ownership')
  const dirty = !same(rules, base.rules)
  const moved = now.version !== base.version

  const takeNew = () => {
    setBase(now)
    setError(undefined)
    key.current = newKey()
    say({ do: 'start', rules: now.rules })
  }
  if (moved && !dirty) takeNew() // nobody edits: what is newer takes its place

  const change: typeof say = (what) => {
    key.current = newKey()
    setError(undefined)
    say(what)
  }
  const save = async () => {
    setBusy(true)
    setError(undefined)
    try {
      await setOwnership(base.version, rules, key.current)
      const next = await cache.fetchQuery({ ...ownershipQuery, staleTime: 0 })
      setBase(next)
      say({ do: 'start', rules: next.rules })
      key.current = newKey()
      await cache.invalidateQueries({ queryKey: ['secrets'] })
    } catch (caught) {
      setError(caught)
      if (codeOf(caught) === 'ownership_rules_moved')
        void cache.invalidateQueries({ queryKey: ownershipQuery.queryKey })
    } finally {
      setBusy(false)
    }
  }
  const conflict = (moved && dirty) || codeOf(error) === 'ownership_rules_moved'
  const full = rules.length >= mostRules ? `There are ${mostRules} rules, and more are not taken.` : undefined
  return (
    <Stack gap="md" maw={980}>
      <Group justify="space-between" align="flex-start">
        <Text size="sm" c="dimmed" maw={620}>
          The first rule that fits and says something counts, for owner and environment each by itself. What somebody
          says of one secret by hand comes before all rules. Labels are those of the store.
        </Text>
        <ActionButton
          variant="default"
          leftSection={<IconPlus size={15} />}
          blocked={blocked ?? full}
          onClick={() => setOpen('new')}
        >
          Add a rule
        </ActionButton>
      </Group>
      {conflict && (
        <Alert color="yellow" variant="light" title="Somebody else changed the rules" role="alert">
          <Stack gap="xs" align="flex-start">
            <Text size="md">
              They are at version {now.version} now, and yours are made from version {base.version}. Nothing of theirs
              was overwritten. Take the newest rules and make your change again.
            </Text>
            <Button size="xs" variant="default" onClick={takeNew}>
              Take the newest rules
            </Button>
          </Stack>
        </Alert>
      )}
      {error !== undefined && !conflict && (
        <Alert color="red" variant="light" role="alert">
          {sentence(error)}
        </Alert>
      )}
      {rules.length === 0 ? (
        <Empty icon={IconListNumbers} title="There are no rules">
          Until there is one, only what somebody says by hand gives a secret an owner. A good first rule takes the owner
          from a label that your stores already have, such as Team.
        </Empty>
      ) : (
        <Stack gap={8} component="ol" p={0} m={0} aria-label="Rules, the first one first">
          {rules.map((rule, at) => (
            <RuleRow
              // biome-ignore lint/suspicious/noArrayIndexKey: a rule is its place
              key={at}
              rule={rule}
              at={at}
              last={at === rules.length - 1}
              blocked={blocked}
              change={change}
              open={() => setOpen(at)}
            />
          ))}
        </Stack>
      )}
      {dirty && (
        <Group>
          <Button onClick={() => void save()} loading={busy} disabled={conflict}>
            Save the rules
          </Button>
          <Button variant="default" onClick={takeNew}>
            Undo my changes
          </Button>
          <Text size="sm" c="dimmed" role="status">
            Not saved yet.
          </Text>
        </Group>
      )}
      {open !== undefined && (
        <RuleDialog
          rule={open === 'new' ? {} : (rules[open] ?? {})}
          fresh={open === 'new'}
          close={() => setOpen(undefined)}
          done={(rule) => {
            change(open === 'new' ? { do: 'add', rule } : { do: 'change', at: open, rule })
            setOpen(undefined)
          }}
        />
      )}
    </Stack>
  )
}
