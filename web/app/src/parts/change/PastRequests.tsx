import { Alert, Anchor, Paper, Stack, Text, Title } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { type Change, type Simulation, simulate } from '../../api/governance'
import { sentence } from '../../api/problem'
import { paths } from '../../paths'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { useAttempt } from '../../ui/useAttempt'
import { wayOf } from '../governance/explainWords'
import { FaultList } from './FaultList'
import classes from './PastRequests.module.css'

/** Decides past requests again under a draft, and shows which would go another way. */
export function PastRequests({ change, blocked }: { change: Change; blocked?: string | undefined }) {
  const me = useMe()
  const { busy, error, attempt } = useAttempt()
  const [tried, setTried] = useState<{ of: Change; result: Simulation }>()
  const run = async () => {
    await attempt(async () => {
      setTried({ of: change, result: await simulate(change) })
    })
  }
  const reason =
    whyNot(me, 'governance.read', 'try changes on past requests') ??
    whyNot(me, 'request.list.all', 'try changes on past requests') ??
    blocked
  return (
    <Paper withBorder p={16} radius="md" bg="var(--sb-surface)" component="section" aria-labelledby="past-requests">
      <Title order={2} id="past-requests">
        Past requests
      </Title>
      <Text c="dimmed" size="md" mb={12}>
        Decides the newest requests again, as they would be with your draft. Nothing changes.
      </Text>
      <ActionButton variant="default" blocked={reason} loading={busy} onClick={() => void run()}>
        Try the draft on past requests
      </ActionButton>
      <div aria-live="polite">
        {error !== undefined && (
          <Alert color="red" mt={16} role="alert">
            {sentence(error)}
          </Alert>
        )}
        {tried && (
          <Stack gap={12} mt={16}>
            {tried.of !== change && <Text c="dimmed">The draft has changed since; try it again.</Text>}
            <Result result={tried.result} />
          </Stack>
        )}
      </div>
    </Paper>
  )
}

function Result({ result }: { result: Simulation }) {
  const wrong = result.faults.filter((f) => !f.warning)
  if (wrong.length > 0) return <FaultList faults={wrong} />
  const n = result.changes.length + result.changes_left_out
  return (
    <>
      <Text fw={600}>{summary(result.replayed, n)}</Text>
      {result.idle > 0 && (
        <Text c="dimmed" size="sm">
          {result.idle} of them say nothing: who asked may not ask there any more.
        </Text>
      )}
      {result.changes.length > 0 && (
        <ul className={classes.list} aria-label="Requests that would go another way">
          {result.changes.slice(0, 50).map((shift) => (
            <li key={shift.request}>
              <Anchor component={Link} to={paths.request(shift.request)} className={classes.id}>
                {shift.request.slice(0, 10)}
              </Anchor>
              <del className={classes.way}>
                <span className={classes.word}>now</span> {wayOf(shift.before)}
              </del>
              <ins className={classes.way}>
                <span className={classes.word}>then</span> {wayOf(shift.after)}
              </ins>
            </li>
          ))}
        </ul>
      )}
      {n > 50 && <Text c="dimmed">and {n - Math.min(50, result.changes.length)} more</Text>}
      {result.stranded.length > 0 && (
        <Alert color="yellow" title="Places where nobody could approve">
          <ul className={classes.plain}>
            {result.stranded.map((s) => (
              <li key={`${s.binding}/${s.rule}/${s.step}`}>
                {s.binding}: {s.step} of {s.workflow}, by the rule {s.rule}; {s.why}.
              </li>
            ))}
          </ul>
        </Alert>
      )}
    </>
  )
}

function summary(replayed: number, n: number): string {
  if (replayed === 0) return 'There are no past requests yet.'
  const of = replayed === 1 ? 'one past request' : `${replayed} past requests`
  if (n === 0) return `None of ${of} would go another way.`
  return `${n} of ${of} would go another way.`
}
