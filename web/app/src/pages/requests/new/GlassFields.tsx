import { Alert, Stack, Switch, Text, Textarea } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import type { Explanation } from '../../../api/asking'
import { span } from '../../../ui/time'
import type { Draft } from './draft'

type Glass = Draft['glass']

interface Props {
  glass: Glass
  wants: NonNullable<Explanation['wants']>['break_glass']
  error: string | undefined
  onChange: (glass: Glass) => void
}

/** It is done without approval, for whoever the workflow lets: with a reason of its own, and a review afterwards. */
export function GlassFields({ glass, wants, error, onChange }: Props) {
  const least = wants?.min_length ?? 10
  const missing = least - [...glass.reason.trim()].length
  return (
    <Stack gap="sm">
      <Switch
        color="red"
        label="Do it without approval"
        description="Only where it cannot wait for anybody."
        checked={glass.on}
        onChange={(event) => onChange({ ...glass, on: event.currentTarget.checked })}
      />
      {glass.on && (
        <>
          <Alert color="red" icon={<IconAlertTriangle size={18} />} title="Others will look at this">
            <Text size="md">
              It is carried out at once. The reviewers are told in the same moment, it stands in the audit under your
              name, and they say {wants ? `within ${span(wants.review_within_seconds)} ` : ''}whether it was justified.
              While a review of yours is overdue, you cannot do this again.
            </Text>
          </Alert>
          <Textarea
            label="Why it cannot wait"
            description={
              missing > 0
                ? `In other words than the reason; ${missing} more ${missing === 1 ? 'character' : 'characters'} at least.`
                : 'In other words than the reason.'
            }
            maxLength={2000}
            autosize
            minRows={2}
            maxRows={8}
            value={glass.reason}
            onChange={(event) => onChange({ ...glass, reason: event.currentTarget.value })}
            error={error}
          />
        </>
      )}
      {!glass.on && error && (
        <Text size="sm" c="var(--mantine-color-error)" role="alert">
          {error}
        </Text>
      )}
    </Stack>
  )
}
