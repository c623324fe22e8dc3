import { Alert, Badge, Button, Code, Group, Stack, Text } from '@mantine/core'
import { IconCircleCheck } from '@tabler/icons-react'
import { useEffect, useRef, useState } from 'react'
import { compare } from '../../api/proof'
import { Problem } from '../../parts/Problem'
import { type Comparison, type Difference, keyOf } from '../../parts/proof/comparison'
import { useAttempt } from '../../ui/useAttempt'
import classes from './Compare.module.css'

/** How many rows the page shows. The command line tells all that are named. */
const mostShown = 200

/** Has the log folded again and tells each row of views and audit that is not what it says. */
export function Compare() {
  const { busy, error, attempt } = useAttempt()
  const [found, setFound] = useState<Comparison>()
  const running = useRef<AbortController | undefined>(undefined)
  useEffect(() => () => running.current?.abort(), [])
  const begin = () =>
    attempt(async () => {
      const controller = new AbortController()
      running.current = controller
      setFound(undefined)
      try {
        setFound(await compare(controller.signal))
      } catch (caught) {
        if (!controller.signal.aborted) throw caught
      }
    })
  return (
    <Stack gap={16}>
      <Text size="sm">
        Lists and pages are read from tables that are folded from the log. This folds the log again beside them and
        compares every row. It takes as long as folding the log, and nobody has to wait meanwhile. That you compared,
        and how many rows differ, is recorded.
      </Text>
      <Group>
        <Button onClick={() => void begin()} loading={busy}>
          {found || error ? 'Compare again' : 'Compare now'}
        </Button>
        {busy && (
          <Button variant="default" onClick={() => running.current?.abort()}>
            Stop
          </Button>
        )}
      </Group>
      <div role="status">
        {busy && <Text size="sm">The log is being folded and compared. Leaving this page ends it.</Text>}
      </div>
      {found && <Outcome {...found} />}
      <Problem error={error} />
      {found && found.differences.length > 0 && <Rows {...found} />}
    </Stack>
  )
}

const count = (n: number, of: string) => `${n.toLocaleString('en')} ${of}${n === 1 ? '' : 's'}`

function Outcome({ outcome }: Comparison) {
  const { differences, up_to, seconds, tables } = outcome
  const until = `Compared up to commit ${up_to.toLocaleString('en')}, in ${count(Math.max(1, Math.round(seconds)), 'second')}.`
  if (differences === 0) {
    return (
      <Alert
        role="status"
        color="green"
        variant="light"
        icon={<IconCircleCheck size={18} aria-hidden />}
        title="Nothing differs"
      >
        Views and audit are what the log says. {until}
      </Alert>
    )
  }
  return (
    <Alert
      color="red"
      variant="light"
      title={`${count(differences, 'row')} ${differences === 1 ? 'differs' : 'differ'} from what the log says`}
    >
      <Stack gap={8}>
        <span>
          In {tables.join(', ')}. {until}
        </span>
        <span>
          Somebody wrote to the database beside the server, or it is damaged. Nobody gains access by it. Keep a copy of
          the database and the output of <Code>sb audit compare</Code>, find out who signed in to Postgres, and then
          have an operator run <Code>sb-server rebuild</Code>.
        </span>
      </Stack>
    </Alert>
  )
}

/** What kind of difference it is, in a word. */
const kinds: Record<Difference['kind'], string> = {
  changed: 'Changed',
  missing: 'Missing',
  added: 'Added',
  definition: 'Definition',
}

function Rows({ differences, outcome }: Comparison) {
  const shown = differences.slice(0, mostShown)
  return (
    <Stack gap={8}>
      <ul className={classes.list} aria-label="Rows that differ">
        {shown.map((difference) => (
          <li key={`${difference.table} ${difference.kind} ${keyOf(difference)}`} className={classes.row}>
            <Group gap={8}>
              <strong>{difference.table}</strong>
              <Badge color="red" variant="light">
                {kinds[difference.kind]}
              </Badge>
            </Group>
            <div className={classes.key}>{keyOf(difference)}</div>
            {difference.columns.map(({ name, live, refolded }) => (
              <Text key={name} size="sm">
                {name}: <Held value={live} />, and the log says <Held value={refolded} />
              </Text>
            ))}
          </li>
        ))}
      </ul>
      {shown.length < outcome.differences && (
        <Text size="sm" c="dimmed">
          The first {shown.length.toLocaleString('en')} of them. <Code>sb audit compare</Code> names up to 10,000.
        </Text>
      )}
    </Stack>
  )
}

function Held({ value }: { value: string | null }) {
  return value === null ? <em>nothing</em> : <Code className={classes.held}>{value}</Code>
}
