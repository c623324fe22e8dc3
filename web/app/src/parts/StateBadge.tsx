import { Badge } from '@mantine/core'
import { type RequestState, stateWords } from './requestWords'

export function StateBadge({ state }: { state: RequestState }) {
  const words = stateWords[state]
  return <Badge color={words.tone}>{words.label}</Badge>
}
