import { Alert, Anchor, Group, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { servingQuery } from '../../api/agents'
import { sentence } from '../../api/problem'
import { Section } from '../../parts/Facts'
import { paths } from '../../paths'
import { useMe, whyNot } from '../../session/who'
import { AgentBadge } from '../agents/AgentState'

/** The agents that could serve a connection, and what it means if there is none. */
export function ClusterAgents({ cluster }: { cluster: string }) {
  const unseen = whyNot(useMe(), 'agent.list', 'see agents')
  const agents = useQuery({ ...servingQuery(cluster), enabled: !unseen })
  const online = agents.data?.filter(({ state }) => state === 'online').length
  return (
    <Section title="Agents of its cluster">
      {unseen && <Text c="dimmed">{unseen}</Text>}
      {agents.error && <Text>{sentence(agents.error)}</Text>}
      {agents.data?.length === 0 && (
        <Alert color="red" variant="light" title="No agent serves this cluster">
          What is approved waits until one is enrolled.{' '}
          <Anchor component={Link} to={paths.agents()} inherit>
            Invite an agent
          </Anchor>
        </Alert>
      )}
      {online === 0 && agents.data && agents.data.length > 0 && (
        <Alert color="yellow" variant="light" title="No agent of this cluster is online">
          What is approved waits until one returns.
        </Alert>
      )}
      {agents.data && agents.data.length > 0 && (
        <Stack gap="xs">
          {agents.data.map((agent) => (
            <Group key={agent.id} gap="sm">
              <AgentBadge agent={agent} />
              <Anchor component={Link} to={paths.agent(agent.id)}>
                {agent.name}
              </Anchor>
            </Group>
          ))}
        </Stack>
      )}
    </Section>
  )
}
