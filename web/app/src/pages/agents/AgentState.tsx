import { Badge, Text } from '@mantine/core'
import type { Agent } from '../../api/agents'
import { When } from '../../ui/When'
import { stateWords } from './agentWords'

export function AgentBadge({ agent }: { agent: Pick<Agent, 'state'> }) {
  const words = stateWords[agent.state]
  return <Badge color={words.tone}>{words.label}</Badge>
}

/** When an agent was heard last. */
export function LastSeen({ agent }: { agent: Agent }) {
  if (agent.state === 'online') return 'now'
  if (agent.lost_at) return <When at={agent.lost_at} />
  return (
    <Text span inherit c="dimmed">
      never
    </Text>
  )
}
