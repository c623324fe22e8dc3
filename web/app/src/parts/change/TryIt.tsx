import {
  Alert,
  Badge,
  Button,
  Group,
  List,
  Paper,
  SegmentedControl,
  Select,
  Stack,
  TagsInput,
  Text,
  TextInput,
  Title,
} from '@mantine/core'
import { IconCheck, IconX } from '@tabler/icons-react'
import { useState } from 'react'
import { type Explanation, explain } from '../../api/governance'
import { sentence } from '../../api/problem'
import { useMe } from '../../session/who'
import { useAttempt } from '../../ui/useAttempt'
import { verdictOf } from '../governance/explainWords'
import { usePeople } from '../governance/names'
import { join } from '../governance/words'
import { nameOf as nameOfPerson } from '../requestWords'
import { capital } from './Editing'
import classes from './fields.module.css'

/** Asks what would become of a request under what counts now, and why. Nothing is asked for. */
export default function TryIt() {
  const me = useMe()
  const { all } = usePeople()
  const [person, setPerson] = useState<string | null>(null)
  const [secret, setSecret] = useState('')
  const [operation, setOperation] = useState<'read' | 'patch'>('read')
  const [keys, setKeys] = useState<string[]>([])
  const { busy, error, attempt } = useAttempt()
  const [told, setTold] = useState<Explanation>()
  const ask = async () => {
    await attempt(async () => {
      try {
        setTold(await explain({ person: person ?? undefined, secret: secret.trim(), operation, keys }))
      } catch (caught) {
        setTold(undefined)
        throw caught
      }
    })
  }
  return (
    <Paper withBorder p={16} radius="md" bg="var(--sb-surface)" component="section" aria-labelledby="try-it">
      <Title order={2} id="try-it">
        Try it
      </Title>
      <Text c="dimmed" size="md" mb={12}>
        What would become of a request now, and why. Nothing is asked for.
      </Text>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (secret.trim()) void ask()
        }}
      >
        <Stack gap={12}>
          {all.length > 0 && (
            <Select
              label="Who asks"
              placeholder={`${me.name} (you)`}
              searchable
              clearable
              limit={50}
              clearButtonProps={{ 'aria-label': 'Clear: who asks' }}
              data={all.map((p) => ({ value: p.id, label: p.name || p.id }))}
              value={person}
              onChange={setPerson}
            />
          )}
          <TextInput
            label="For which secret"
            placeholder="connection/path, such as file/prod/db"
            value={secret}
            maxLength={600}
            onChange={(event) => setSecret(event.currentTarget.value)}
          />
          <SegmentedControl
            aria-label="To do what"
            className={classes.start}
            value={operation}
            onChange={(next) => setOperation(next as 'read' | 'patch')}
            data={[
              { value: 'read', label: 'Read' },
              { value: 'patch', label: 'Change' },
            ]}
          />
          <TagsInput label="Which keys" placeholder={keys.length > 0 ? '' : 'All'} value={keys} onChange={setKeys} />
          <Group>
            <Button type="submit" variant="default" loading={busy} disabled={!secret.trim()}>
              Explain
            </Button>
          </Group>
        </Stack>
      </form>
      <div aria-live="polite">
        {error !== undefined && (
          <Alert color="red" mt={16} role="alert">
            {sentence(error)}
          </Alert>
        )}
        {told && <Told told={told} />}
      </div>
    </Paper>
  )
}

function Told({ told }: { told: Explanation }) {
  const place = told.place
  return (
    <Stack gap={12} mt={16}>
      <Alert
        color={told.allowed ? 'teal' : 'red'}
        icon={told.allowed ? <IconCheck size={18} /> : <IconX size={18} />}
        title={verdictOf(told)}
      >
        {place?.project
          ? `It lies in ${place.project} / ${place.environment}, which is ${place.environment_kind === 'prod' ? 'production' : 'not production'}.`
          : 'Nothing binds it, so it lies in no project and counts as production.'}
      </Alert>
      {told.steps.map((step) => (
        <Text key={step.step} size="md">
          <strong>{step.step}</strong>: {step.approvals} of{' '}
          {step.people && step.people.length > 0 && step.people.length <= 6
            ? join(step.people.map(nameOfPerson))
            : `${step.voters} ${step.voters === 1 ? 'person' : 'people'}`}
          {step.stranded && (
            <Badge color="red" ml={8}>
              Too few people
            </Badge>
          )}
        </Text>
      ))}
      <details>
        <summary>Everything that was looked at ({told.clauses.length})</summary>
        <List size="md" spacing={6} mt={8} listStyleType="none">
          {told.clauses.map((clause, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the answer never changes in place
            <List.Item key={i}>
              {clause.about && clause.name ? (
                <>
                  {capital(clause.about)} <strong>{clause.name}</strong>: {clause.why}
                </>
              ) : (
                capital(clause.why)
              )}
            </List.Item>
          ))}
        </List>
      </details>
    </Stack>
  )
}
