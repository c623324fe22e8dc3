import { Autocomplete, Group, NativeSelect, Stack, Switch } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { teamsQuery } from '../../../api/asking'
import { useMe } from '../../../session/who'
import type { Draft } from './draft'

type Fill = Draft['fill']

/** How long the other team may take, in seconds. */
const times = [
  { value: '0', label: 'As long as the request waits' },
  { value: '3600', label: 'An hour' },
  { value: '28800', label: '8 hours' },
  { value: '86400', label: 'A day' },
  { value: '259200', label: '3 days' },
]

interface Props {
  fill: Fill
  error: string | undefined
  onChange: (fill: Fill) => void
}

/** Another team brings the values: who, and within which time. */
export function FillFields({ fill, error, onChange }: Props) {
  const me = useMe()
  const teams = useQuery({ ...teamsQuery, enabled: fill.on && me.permissions.includes('governance.read') })
  return (
    <Stack gap="sm">
      <Switch
        label="Another team fills in the values"
        description="You name the keys; they bring the values, which you do not see. Then others decide."
        checked={fill.on}
        onChange={(event) => onChange({ ...fill, on: event.currentTarget.checked })}
      />
      {fill.on && (
        <Group align="flex-start">
          <Autocomplete
            label="Team"
            placeholder="Its name"
            maxLength={40}
            spellCheck={false}
            autoCapitalize="off"
            value={fill.team}
            onChange={(team) => onChange({ ...fill, team })}
            data={[...new Set([...(teams.data ?? []), ...me.teams])].sort()}
            error={error}
            w={{ base: '100%', xs: 240 }}
          />
          <NativeSelect
            label="Within"
            value={String(fill.within)}
            onChange={(event) => onChange({ ...fill, within: Number(event.currentTarget.value) })}
            data={times}
            w={{ base: '100%', xs: 240 }}
          />
        </Group>
      )}
    </Stack>
  )
}
