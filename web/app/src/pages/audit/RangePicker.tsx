import { Button, Divider, Group, Popover, Stack, TextInput } from '@mantine/core'
import { IconCalendar, IconChevronDown } from '@tabler/icons-react'
import { useState } from 'react'
import { short } from '../../ui/time'
import { fromInput, ranges, type Times, toInput } from './range'

interface Props {
  times: Times
  change: (filter: { range?: string; since?: string; until?: string }) => void
}

/** Which time is looked at: one that ends now, or from one moment to another. */
export function RangePicker({ times, change }: Props) {
  const [opened, setOpened] = useState(false)
  const choose = (range: string) => {
    setOpened(false)
    change({ range, since: '', until: '' })
  }
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" trapFocus returnFocus withRoles={false}>
      <Popover.Target>
        <Button
          variant="default"
          leftSection={<IconCalendar size={16} aria-hidden />}
          rightSection={<IconChevronDown size={14} aria-hidden />}
          aria-expanded={opened}
          aria-haspopup="dialog"
          aria-label={`Time: ${inWords(times)}`}
          onClick={() => setOpened(!opened)}
        >
          {inWords(times)}
        </Button>
      </Popover.Target>
      <Popover.Dropdown role="dialog" aria-label="Choose a time">
        <Stack gap={4}>
          {Object.entries(ranges).map(([range, { label }]) => (
            <Button
              key={range}
              variant={range === times.range ? 'light' : 'subtle'}
              color={range === times.range ? undefined : 'gray'}
              size="compact-md"
              justify="flex-start"
              aria-pressed={range === times.range}
              onClick={() => choose(range)}
            >
              {label}
            </Button>
          ))}
          <Divider my={4} />
          <Custom
            times={times}
            apply={(since, until) => {
              setOpened(false)
              change({ range: '', since, until })
            }}
          />
        </Stack>
      </Popover.Dropdown>
    </Popover>
  )
}

function inWords({ range, since, until }: Times): string {
  if (range !== 'custom') return ranges[range].label
  if (since && until) return `${short(since)} to ${short(until)}`
  return since ? `Since ${short(since)}` : `Until ${short(until ?? '')}`
}

function Custom({ times, apply }: { times: Times; apply: (since: string, until: string) => void }) {
  const [since, setSince] = useState(toInput(times.since))
  const [until, setUntil] = useState(toInput(times.until))
  const from = fromInput(since)
  const to = fromInput(until)
  const backwards = from !== '' && to !== '' && from >= to
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (!backwards && (from || to)) apply(from, to)
      }}
    >
      <Stack gap={8}>
        <TextInput
          type="datetime-local"
          label="From"
          value={since}
          onChange={(event) => setSince(event.currentTarget.value)}
        />
        <TextInput
          type="datetime-local"
          label="Until"
          description="Not included"
          value={until}
          error={backwards ? 'The end comes before the beginning.' : undefined}
          onChange={(event) => setUntil(event.currentTarget.value)}
        />
        <Group justify="flex-end">
          <Button type="submit" size="xs">
            Show this time
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
