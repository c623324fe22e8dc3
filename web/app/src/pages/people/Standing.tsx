import { Badge, Group } from '@mantine/core'
import type { Account } from '../../api/people'
import { standingOf } from './peopleWords'

/** Whether somebody can come in. */
export function Standing({ person }: { person: Account }) {
  const { label, tone } = standingOf(person)
  return (
    <Group gap={6} wrap="nowrap">
      <Badge color={tone}>{label}</Badge>
      {person.break_glass && <Badge color="violet">Emergency</Badge>}
    </Group>
  )
}
