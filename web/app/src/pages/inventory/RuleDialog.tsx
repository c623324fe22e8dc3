import { Alert, Button, Fieldset, Group, Modal, NativeSelect, SimpleGrid, Stack, TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { namesQuery } from '../../api/connections'
import type { OwnershipRule } from '../../api/secrets'
import { useMe } from '../../session/who'
import { type Label, labelText, parseLabel, sorted } from './labels'
import { fault, matches, plain, says } from './rules'

interface Props {
  rule: OwnershipRule
  fresh: boolean
  close: () => void
  done: (rule: OwnershipRule) => void
}

/** Whether a field is told by a text, by a label, or not at all. */
type From = 'none' | 'text' | 'label'

const ways = [
  { value: 'none', label: 'Nothing' },
  { value: 'text', label: 'Always the same' },
  { value: 'label', label: 'What a label says' },
]

/** Writes one rule: which secrets, and what it says of them. */
export function RuleDialog({ rule: before, fresh, close, done }: Props) {
  const [rule, setRule] = useState(before)
  const [labels, setLabels] = useState(
    sorted(before.labels ?? {})
      .map(labelText)
      .join(', '),
  )
  const [owner, setOwner] = useState<From>(before.owner_label ? 'label' : before.owner || fresh ? 'text' : 'none')
  const [environment, setEnvironment] = useState<From>(
    before.environment_label ? 'label' : before.environment ? 'text' : 'none',
  )
  const [asked, setAsked] = useState(false)
  const may = useMe().permissions.includes('connection.list')
  const connections = useQuery({ ...namesQuery, enabled: may })
  const set = (part: Partial<OwnershipRule>) => setRule({ ...rule, ...part })

  const texts = labels
    .split(',')
    .map((text) => text.trim())
    .filter(Boolean)
  const read = texts.map(parseLabel)
  const labelFault = read.includes(undefined) ? 'Write labels as NAME:VALUE, with commas between them.' : undefined
  const whole = plain({
    ...rule,
    labels: Object.fromEntries(
      read.filter((label): label is Label => label !== undefined).map((l) => [l.name, l.value]),
    ),
    owner: owner === 'text' ? (rule.owner ?? '').trim() : '',
    owner_label: owner === 'label' ? (rule.owner_label ?? '').trim() : '',
    environment: environment === 'text' ? (rule.environment ?? '').trim() : '',
    environment_label: environment === 'label' ? (rule.environment_label ?? '').trim() : '',
  })
  const wrong = labelFault ?? fault(whole)
  return (
    <Modal opened onClose={close} title={fresh ? 'Add a rule' : 'Change the rule'} size="lg">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          setAsked(true)
          if (!wrong) done(whole)
        }}
      >
        <Stack>
          <Fieldset legend="Which secrets">
            <Stack gap="sm">
              <NativeSelect
                label="Connection"
                value={rule.connection ?? ''}
                onChange={(event) => set({ connection: event.currentTarget.value })}
                data={[
                  { value: '', label: 'Any connection' },
                  ...(connections.data ?? []).map(({ name }) => ({ value: name, label: name })),
                ]}
                data-autofocus
              />
              <TextInput
                label="The path begins with"
                placeholder="prod/payments/"
                maxLength={512}
                value={rule.prefix ?? ''}
                onChange={(event) => set({ prefix: event.currentTarget.value })}
              />
              <TextInput
                label="Labels"
                description="All of them must be there. A colon in a name is written \:"
                placeholder="Team:billing, tier:1"
                value={labels}
                onChange={(event) => setLabels(event.currentTarget.value)}
                error={labelFault}
              />
            </Stack>
          </Fieldset>
          <Says
            what="Owner"
            from={owner}
            setFrom={setOwner}
            text={rule.owner ?? ''}
            label={rule.owner_label ?? ''}
            setText={(text) => set({ owner: text })}
            setLabel={(text) => set({ owner_label: text })}
          />
          <Says
            what="Environment"
            from={environment}
            setFrom={setEnvironment}
            text={rule.environment ?? ''}
            label={rule.environment_label ?? ''}
            setText={(text) => set({ environment: text })}
            setLabel={(text) => set({ environment_label: text })}
          />
          {wrong && asked && !labelFault ? (
            <Alert color="red" variant="light" role="alert">
              {wrong}
            </Alert>
          ) : (
            !wrong && (
              <Alert variant="light" color="indigo">
                {matches(whole)} {says(whole)}.
              </Alert>
            )
          )}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Cancel
            </Button>
            <Button type="submit">{fresh ? 'Add' : 'Change'}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

interface SaysProps {
  what: 'Owner' | 'Environment'
  from: From
  setFrom: (from: From) => void
  text: string
  label: string
  setText: (text: string) => void
  setLabel: (text: string) => void
}

function Says({ what, from, setFrom, text, label, setText, setLabel }: SaysProps) {
  return (
    <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
      <NativeSelect
        label={what}
        value={from}
        onChange={(event) => setFrom(event.currentTarget.value as From)}
        data={ways}
      />
      {from === 'text' && (
        <TextInput
          label={`${what} of all of them`}
          maxLength={128}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
      )}
      {from === 'label' && (
        <TextInput
          label={`Label that tells the ${what.toLowerCase()}`}
          maxLength={512}
          value={label}
          onChange={(event) => setLabel(event.currentTarget.value)}
        />
      )}
    </SimpleGrid>
  )
}
