import { Button, Group, Progress, Stack, Text, Textarea, TextInput } from '@mantine/core'
import { useId } from 'react'
import type { Explanation } from '../../../api/asking'
import { advise, ticketIn } from './reason'

interface Props {
  reason: string
  ticket: string
  wants: Explanation['wants']
  reasonError: string | undefined
  ticketError: string | undefined
  onReason: (reason: string) => void
  onTicket: (ticket: string) => void
}

const tones = ['gray', 'red', 'yellow', 'green'] as const

/** Why, for those who decide: with what would make it a better reason, and the ticket that it names. */
export function ReasonFields({ reason, ticket, wants, reasonError, ticketError, onReason, onTicket }: Props) {
  const advice = advise(reason, ticket, wants?.min_length)
  const named = ticketIn(reason)
  const coach = useId()
  return (
    <Stack gap="md">
      <Stack gap={6}>
        <Textarea
          label="Reason"
          description="For those who decide; it stays on record. Never a value."
          required
          withAsterisk={false}
          maxLength={2000}
          autosize
          minRows={2}
          maxRows={10}
          value={reason}
          onChange={(event) => onReason(event.currentTarget.value)}
          error={reasonError}
          aria-describedby={coach}
        />
        <Group gap="sm" wrap="nowrap" id={coach}>
          <Progress.Root size={6} w={72} aria-hidden>
            <Progress.Section value={(advice.level / 3) * 100} color={tones[advice.level]} />
          </Progress.Root>
          <Text size="sm" c="dimmed">
            {advice.says}
            {wants?.pattern && ` Some part of it has to fit ${wants.pattern}.`}
          </Text>
        </Group>
      </Stack>
      <Group align="flex-end" gap="sm">
        <TextInput
          label={wants?.ticket ? 'Ticket' : 'Ticket (optional)'}
          description={wants?.ticket ? `Needed here, in the form ${wants.ticket}.` : undefined}
          placeholder="OPS-42"
          maxLength={128}
          spellCheck={false}
          value={ticket}
          onChange={(event) => onTicket(event.currentTarget.value)}
          error={ticketError}
          w={{ base: '100%', xs: 260 }}
        />
        {named && named !== ticket.trim() && (
          <Button variant="light" onClick={() => onTicket(named)}>
            Use {named} as the ticket
          </Button>
        )}
      </Group>
    </Stack>
  )
}
