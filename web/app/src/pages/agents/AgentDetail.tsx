import { Anchor, Button, Group, Stack, Text } from '@mantine/core'
import { IconHistory } from '@tabler/icons-react'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { type Agent, agentQuery, revoke } from '../../api/agents'
import { newKey } from '../../api/client'
import { connectionsQuery } from '../../api/connections'
import { useListing } from '../../api/listing'
import { Facts, Section } from '../../parts/Facts'
import { One } from '../../parts/One'
import { paths } from '../../paths'
import { leads } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { CopyButton } from '../../ui/CopyButton'
import { Page } from '../../ui/Page'
import { ReasonDialog } from '../../ui/ReasonDialog'
import { Countdown, useNow, When } from '../../ui/When'
import { AgentBadge, LastSeen } from './AgentState'
import { told } from './agentWords'

/** One agent: where it is in its life, and the way to end it. */
export function AgentDetail() {
  const { id } = useParams({ strict: false }) as { id: string }
  const unseen = whyNot(useMe(), 'agent.list', 'see agents')
  const agent = useQuery({ ...agentQuery(id), enabled: !unseen })
  return (
    <One
      title="Agent"
      query={agent}
      unseen={unseen}
      missing={{ agent_unknown: 'There is no such agent' }}
      back={{ to: paths.agents(), label: 'To the agents' }}
    >
      {(found) => <Shown agent={found} />}
    </One>
  )
}

function Shown({ agent }: { agent: Agent }) {
  const me = useMe()
  const cache = useQueryClient()
  const navigate = useNavigate()
  const now = useNow(10)
  const [asking, setAsking] = useState(false)
  const key = useRef(newKey())
  const invited = agent.state === 'invited'
  const blocked =
    agent.state === 'revoked'
      ? 'It is revoked already, for good.'
      : agent.state === 'expired'
        ? 'Its token has ended: there is nothing to revoke.'
        : whyNot(me, 'agent.manage', 'revoke agents')
  return (
    <Page
      title={agent.name}
      about={`Agent of cluster ${agent.cluster}`}
      wide={false}
      actions={
        <>
          <ActionButton
            variant="default"
            leftSection={<IconHistory size={15} />}
            blocked={whyNot(me, 'audit.read', 'read the audit')}
            onClick={() => void navigate(leads(paths.audit({ stream: `agent/${agent.id}` })))}
          >
            In the audit
          </ActionButton>
          <ActionButton variant="default" blocked={blocked} onClick={() => setAsking(true)}>
            {invited ? 'Take the invitation back' : 'Revoke'}
          </ActionButton>
        </>
      }
    >
      <Group gap="sm" role="status">
        <AgentBadge agent={agent} />
        <Text>{told(agent, now)}</Text>
      </Group>
      <Section title="What is known">
        <Facts
          of={[
            ['Cluster', agent.cluster],
            ['Version', agent.version],
            ['Last seen', <LastSeen key="seen" agent={agent} />],
            ['Invited', <When key="invited" at={agent.invited_at} />],
            [
              'Its token ends in',
              invited && <Countdown key="ends" until={agent.token_ends} over="now: it has ended" />,
            ],
            ['Enrolled', agent.enrolled_at && <When key="enrolled" at={agent.enrolled_at} />],
            [
              'Online since',
              agent.state === 'online' && agent.connected_at && <When key="on" at={agent.connected_at} />,
            ],
            ['Revoked', agent.revoked_at && <When key="revoked" at={agent.revoked_at} />],
            [
              'Id',
              <Group key="id" gap={4}>
                <Text span size="sm" ff="monospace">
                  {agent.id}
                </Text>
                <CopyButton text={agent.id} what="the id" />
              </Group>,
            ],
          ]}
        />
      </Section>
      <Serves cluster={agent.cluster} />
      {asking && (
        <ReasonDialog
          opened
          close={() => setAsking(false)}
          title={invited ? `Take the invitation of ${agent.name} back` : `Revoke ${agent.name}`}
          about={
            invited
              ? 'Its token is worth nothing any more, at once and for good.'
              : 'Its link is cut at once and for good. What it works on now is done by another agent of its cluster, or waits for one.'
          }
          required
          most={2000}
          label="Reason, for the audit"
          confirm={invited ? 'Take it back' : 'Revoke'}
          danger
          act={async (reason) => {
            await revoke(agent.id, reason, key.current)
            key.current = newKey()
            await cache.invalidateQueries({ queryKey: ['agents'] })
          }}
        />
      )}
    </Page>
  )
}

/** The connections of its cluster: what it has to be configured for. */
function Serves({ cluster }: { cluster: string }) {
  const may = useMe().permissions.includes('connection.list')
  return may ? <Connections cluster={cluster} /> : null
}

function Connections({ cluster }: { cluster: string }) {
  const list = useListing(connectionsQuery({ cluster }))
  return (
    <Section title="Connections of its cluster">
      {list.rows.length === 0 && !list.loading ? (
        <Stack gap="xs" align="flex-start">
          <Text c="dimmed">There is none yet, so it has nothing to do.</Text>
          <Button component={Link} to={paths.connections()} size="xs" variant="default">
            Name a connection
          </Button>
        </Stack>
      ) : (
        <Group gap="md">
          {list.rows.map(({ name }) => (
            <Anchor key={name} component={Link} to={paths.connection(name)}>
              {name}
            </Anchor>
          ))}
        </Group>
      )}
    </Section>
  )
}
