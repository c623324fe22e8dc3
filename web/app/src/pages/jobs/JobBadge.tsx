import { Badge } from '@mantine/core'
import type { JobState } from '../../api/jobs'
import { stateWords } from './jobWords'

export function JobBadge({ state }: { state: JobState }) {
  const words = stateWords[state]
  return <Badge color={words.tone}>{words.label}</Badge>
}
