import { Badge } from '@mantine/core'
import { type Request, standing } from './requestWords'

export function StateBadge({ request }: { request: Request }) {
  const words = standing(request)
  return <Badge color={words.tone}>{words.label}</Badge>
}
