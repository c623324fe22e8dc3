import { SegmentedControl } from '@mantine/core'
import { many, useFilters } from '../../search'

const choices = [
  { label: 'All', value: '' },
  { label: 'Online', value: 'online' },
  { label: 'Offline', value: 'offline' },
  { label: 'Invited', value: 'invited' },
  { label: 'Expired', value: 'expired' },
  { label: 'Revoked', value: 'revoked' },
]

/** Which agents are shown. */
export function StateTabs() {
  const [search, change] = useFilters()
  return (
    <SegmentedControl
      aria-label="Which agents"
      w="fit-content"
      maw="100%"
      size="xs"
      data={choices}
      value={many(search, 'state')[0] ?? ''}
      onChange={(value) => change({ state: value })}
    />
  )
}
