import { Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconPlugConnected, IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type Connection, connectionsQuery } from '../../api/connections'
import { useListing } from '../../api/listing'
import { countQuery } from '../../api/secrets'
import { ListTable } from '../../parts/ListTable'
import { paths } from '../../paths'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import type { Column } from '../../ui/DataTable'
import { lazily } from '../../ui/lazily'
import { Page } from '../../ui/Page'
import { Empty, Forbidden } from '../../ui/states'
import { ConnectionBadge } from './ConnectionBadge'
import { providerWords } from './providers'
import { Serving } from './Serving'
import { scheduleWords } from './scheduleWords'

const CreateConnection = lazily(() => import('./CreateConnection'), 'CreateConnection')

/** Secret stores, each behind the agents of one cluster. */
export function Connections() {
  const me = useMe()
  const unseen = whyNot(me, 'connection.list', 'see connections')
  const [creating, { open, close }] = useDisclosure()
  const create = (
    <ActionButton
      leftSection={<IconPlus size={16} />}
      blocked={whyNot(me, 'connection.manage', 'name connections')}
      onClick={open}
    >
      New connection
    </ActionButton>
  )
  return (
    <Page
      title="Connections"
      about="Secret stores behind the agents. Their addresses and credentials are in the agents' own configuration, and never here."
      actions={create}
    >
      {unseen ? <Forbidden reason={unseen} /> : <ConnectionList create={create} />}
      {creating && <CreateConnection close={close} />}
    </Page>
  )
}

const columns: Column<Connection>[] = [
  { id: 'name', title: 'Connection', width: 'minmax(0, 1fr)', cell: ({ name }) => <strong>{name}</strong> },
  {
    id: 'state',
    title: 'State',
    width: '104px',
    cell: ({ state }) => <ConnectionBadge state={state} />,
  },
  {
    id: 'provider',
    title: 'Kind of store',
    width: 'minmax(0, 1.1fr)',
    wide: true,
    cell: ({ provider }) => providerWords[provider].label,
  },
  { id: 'cluster', title: 'Cluster', width: 'minmax(0, 0.7fr)', wide: true, cell: ({ cluster }) => cluster },
  { id: 'agents', title: 'Agents', width: '128px', cell: ({ cluster }) => <Serving cluster={cluster} /> },
  {
    id: 'secrets',
    title: 'Secrets',
    width: '96px',
    wide: true,
    end: true,
    cell: ({ name }) => <SecretCount connection={name} />,
  },
  {
    id: 'scans',
    title: 'Scans',
    width: 'minmax(0, 0.8fr)',
    wide: true,
    cell: ({ discover_every_seconds }) => (
      <Text span inherit c="dimmed">
        {scheduleWords(discover_every_seconds)}
      </Text>
    ),
  },
]

function SecretCount({ connection }: { connection: string }) {
  const may = useMe().permissions.includes('secret.list')
  const count = useQuery({ ...countQuery({ connection }), enabled: may })
  if (!count.data) return '–'
  return count.data.exact ? count.data.count.toLocaleString('en') : `over ${count.data.count.toLocaleString('en')}`
}

function ConnectionList({ create }: { create: React.ReactNode }) {
  const navigate = useNavigate()
  const list = useListing(connectionsQuery())
  return (
    <ListTable
      list={list}
      label="Connections"
      columns={columns}
      keyOf={({ name }) => name}
      open={({ name }) => void navigate({ to: paths.connection(name) })}
      empty={
        <Empty icon={IconPlugConnected} title="There is no connection yet" actions={create}>
          A connection names a secret store, such as a Vault, and the cluster whose agents reach it. Then agents can
          scan it, and people can ask for what is in it.
        </Empty>
      }
    />
  )
}
