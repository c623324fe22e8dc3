import { Badge, Group, Text, Title } from '@mantine/core'
import type { Request } from '../../../api/requests'
import { nameOf } from '../../../parts/requestWords'
import { When } from '../../../ui/When'
import classes from './Review.module.css'

/** What people said so far, for whom, and why. */
export function Votes({ request: { votes, steps, fill } }: { request: Request }) {
  if (votes.length === 0 && !fill?.comment) return null
  return (
    <section aria-labelledby="votes">
      <Title order={3} id="votes" mb="xs">
        What people said
      </Title>
      <ul className={classes.list}>
        {fill?.comment && (
          <li className={classes.item}>
            <Text>
              <strong>{nameOf(fill.by)}</strong> {fill.refused ? 'refused the values' : 'filled in the values'}
            </Text>
            {fill.at && (
              <Text size="xs" c="dimmed">
                <When at={fill.at} />
              </Text>
            )}
            <p className={classes.comment}>{fill.comment}</p>
          </li>
        )}
        {votes.map((vote) => (
          <li key={`${vote.step} ${vote.approver.id} ${vote.at}`} className={classes.item}>
            <Group gap="xs">
              <Text>
                <strong>{nameOf(vote.approver)}</strong>
                {vote.via && vote.via.length > 0 && <> for {nameOf(vote.via.at(-1))}</>}
              </Text>
              <Badge color={vote.decision === 'approved' ? 'green' : 'red'}>
                {vote.decision === 'approved' ? 'Approved' : 'Denied'}
              </Badge>
              {steps.length > 1 && (
                <Text size="xs" c="dimmed">
                  in the step {vote.step}
                </Text>
              )}
            </Group>
            <Text size="xs" c="dimmed">
              <When at={vote.at} />
            </Text>
            {vote.comment && <p className={classes.comment}>{vote.comment}</p>}
          </li>
        ))}
      </ul>
    </section>
  )
}
