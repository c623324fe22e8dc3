import { Badge, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { servingQuery } from '../../api/agents'
import { useMe } from '../../session/who'

/** Whether an agent could do something for a cluster now; nothing for who may not see agents. */
export function Serving({ cluster }: { cluster: string }) {
  const may = useMe().permissions.includes('agent.list')
  const agents = useQuery({ ...servingQuery(cluster), enabled: may })
  if (!agents.data) {
    return (
      <Text span inherit c="dimmed">
        –
      </Text>
    )
  }
  const online = agents.data.filter(({ state }) => state === 'online').length
  if (agents.data.length === 0) return <Badge color="red">None</Badge>
  if (online === 0) return <Badge color="yellow">None online</Badge>
  return `${online} online`
}
