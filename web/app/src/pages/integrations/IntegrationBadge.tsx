import { Badge } from '@mantine/core'
import type { Integration } from '../../api/integrations'
import { stateWords } from './integrationWords'

export function IntegrationBadge({ integration }: { integration: Pick<Integration, 'state'> }) {
  const { label, tone } = stateWords[integration.state]
  return <Badge color={tone}>{label}</Badge>
}
