import { Badge } from '@mantine/core'
import type { Connection } from '../../api/connections'

export function ConnectionBadge({ state }: { state: Connection['state'] }) {
  return state === 'active' ? <Badge color="green">In use</Badge> : <Badge color="gray">Disabled</Badge>
}
