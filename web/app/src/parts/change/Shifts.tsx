import { Badge, Group, List, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { type Plan, permissionsQuery } from '../../api/governance'
import { join } from '../governance/words'

type Shift = Plan['people'][number]
type Part = Shift['gained'][number]

/** Who could do more or less than before, and where. */
export function Shifts({ plan }: { plan: Plan }) {
  const { data } = useQuery(permissionsQuery)
  const sentences = new Map((data?.permissions ?? []).map((p) => [p.permission, p.sentence]))
  const told = (part: Part) => `${sentences.get(part.permission) ?? part.permission}, ${placeOf(part)}`
  if (plan.people.length === 0) {
    return (
      <Text c="dimmed">
        {plan.people_left_out > 0
          ? `${counted(plan.people_left_out)} would gain or lose a permission. You may not list people, so they are not named.`
          : 'Nobody gains or loses a permission.'}
      </Text>
    )
  }
  return (
    <Stack gap={12}>
      {plan.people.map((shift) => (
        <div key={shift.person.id}>
          <Group gap={8} mb={2}>
            <Text fw={600}>{shift.person.name || 'Somebody who left'}</Text>
            {shift.machine && <Badge color="gray">Machine</Badge>}
          </Group>
          <Parts word="gains" tone="blue" parts={shift.gained} told={told} />
          <Parts word="loses" tone="red" parts={shift.lost} told={told} />
        </div>
      ))}
      {plan.people_left_out > 0 && <Text c="dimmed">and {counted(plan.people_left_out)} more</Text>}
    </Stack>
  )
}

function Parts({
  word,
  tone,
  parts,
  told,
}: {
  word: string
  tone: string
  parts: Part[]
  told: (part: Part) => string
}) {
  if (parts.length === 0) return null
  return (
    <Group gap={8} align="flex-start" wrap="nowrap">
      <Badge color={tone} mt={2}>
        {word}
      </Badge>
      <List size="md" listStyleType="none">
        {parts.map((part) => (
          <List.Item key={part.permission}>{told(part)}</List.Item>
        ))}
      </List>
    </Group>
  )
}

function placeOf(part: Part): string {
  if (part.everywhere) return 'everywhere'
  const places = [...(part.at ?? []), ...(part.left_out ? [`${part.left_out} more places`] : [])]
  return `below ${join(places)}`
}

const counted = (n: number) => (n === 1 ? 'one person' : `${n} people`)
