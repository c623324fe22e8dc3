import { Button, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconCpu, IconPlus } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import { type Agent, type AgentState, agentsQuery } from '../../api/agents'
import { useListing } from '../../api/listing'
import { ListTable } from '../../parts/ListTable'
import { paths } from '../../paths'
import { many, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import type { Column } from '../../ui/DataTable'
import { lazily } from '../../ui/lazily'
import { Page } from '../../ui/Page'
import { Empty, Forbidden } from '../../ui/states'
import { useNow } from '../../ui/When'
import { AgentBadge, LastSeen } from './AgentState'
import { stateWords, told } from './agentWords'
import { StateTabs } from './StateTabs'

const InviteDialog = lazily(() => import('./InviteDialog'), 'InviteDialog')

/** Agents work inside the networks of the stores. They call the control plane, and nothing calls them. */
export function Agents() {
  const me = useMe()
  const unseen = whyNot(me, 'agent.list', 'see agents')
  const [inviting, { open, close }] = useDisclosure()
  const invite = (
    <ActionButton
      leftSection={<IconPlus size={16} />}
      blocked={whyNot(me, 'agent.manage', 'invite agents')}
      onClick={open}
    >
      Invite an agent
    </ActionButton>
  )
  return (
    <Page
      title="Agents"
      about="Agents work beside the secret stores, with credentials that never leave their hosts. They call out; nothing calls in."
      actions={invite}
    >
      {unseen ? <Forbidden reason={unseen} /> : <AgentList invite={invite} />}
      {inviting && <InviteDialog close={close} />}
    </Page>
  )
}

const columns: Column<Agent>[] = [
  { id: 'name', title: 'Agent', width: 'minmax(0, 1fr)', cell: (agent) => <strong>{agent.name}</strong> },
  { id: 'state', title: 'State', width: '92px', cell: (agent) => <AgentBadge agent={agent} /> },
  {
    id: 'says',
    title: 'What that means',
    width: 'minmax(0, 2fr)',
    wide: true,
    cell: (agent) => <Told agent={agent} />,
  },
  { id: 'cluster', title: 'Cluster', width: 'minmax(0, 0.7fr)', cell: (agent) => agent.cluster },
  {
    id: 'version',
    title: 'Version',
    width: 'minmax(0, 0.6fr)',
    wide: true,
    cell: (agent) => (
      <Text span inherit c="dimmed">
        {agent.version || '–'}
      </Text>
    ),
  },
  { id: 'seen', title: 'Last seen', width: '116px', wide: true, cell: (agent) => <LastSeen agent={agent} /> },
]

function Told({ agent }: { agent: Agent }) {
  const says = told(agent, useNow(10))
  return (
    <Text span inherit c="dimmed" title={says}>
      {says}
    </Text>
  )
}

function AgentList({ invite }: { invite: React.ReactNode }) {
  const [search, change] = useFilters()
  const navigate = useNavigate()
  const states = many(search, 'state').filter((state): state is AgentState => state in stateWords)
  const list = useListing(agentsQuery(states.length > 0 ? { state: states } : {}))
  return (
    <>
      <StateTabs />
      <ListTable
        list={list}
        label="Agents"
        columns={columns}
        keyOf={(agent) => agent.id}
        open={(agent) => void navigate({ to: paths.agent(agent.id) })}
        empty={
          states.length > 0 ? (
            <Empty
              icon={IconCpu}
              title="No agent is like that"
              actions={
                <Button variant="default" onClick={() => change({ state: undefined })}>
                  Show all agents
                </Button>
              }
            />
          ) : (
            <Empty icon={IconCpu} title="There is no agent yet" actions={invite}>
              An agent runs beside your secret stores and does what was approved. Invite one: you get a command for its
              host, and see here when it gives its first sign of life.
            </Empty>
          )
        }
      />
    </>
  )
}
