import { Text } from '@mantine/core'
import { IconPlugConnected } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { type Integration, integrationsQuery } from '../../api/integrations'
import { useListing } from '../../api/listing'
import { ListTable } from '../../parts/ListTable'
import { paths } from '../../paths'
import type { Column } from '../../ui/DataTable'
import { Empty } from '../../ui/states'
import { When } from '../../ui/When'
import { IntegrationBadge } from './IntegrationBadge'
import { byAgent, kindWords, told } from './integrationWords'

const columns: Column<Integration>[] = [
  { id: 'name', title: 'Integration', width: 'minmax(0, 1fr)', cell: ({ name }) => <strong>{name}</strong> },
  { id: 'state', title: 'State', width: '104px', cell: (one) => <IntegrationBadge integration={one} /> },
  { id: 'kind', title: 'Kind', width: 'minmax(0, 0.8fr)', cell: ({ kind }) => kindWords[kind].label },
  {
    id: 'where',
    title: 'Where',
    width: 'minmax(0, 1.2fr)',
    wide: true,
    cell: ({ kind, address, cluster }) => (byAgent(kind) ? `cluster ${cluster ?? ''}` : address),
  },
  {
    id: 'for',
    title: 'What for',
    width: 'minmax(0, 1.2fr)',
    wide: true,
    cell: (one) => (
      <Text span inherit c="dimmed">
        {told(one.kind)
          ? one.notices.length === 0
            ? 'told everything'
            : `told ${one.notices.length} ${one.notices.length === 1 ? 'kind' : 'kinds'} of notices`
          : `${one.mappings} ${one.mappings === 1 ? 'mapping' : 'mappings'}`}
      </Text>
    ),
  },
  { id: 'changed', title: 'Changed', width: '120px', wide: true, cell: ({ changed_at }) => <When at={changed_at} /> },
]

/** What is told of facts outside, and what is looked at there. */
export function IntegrationList({ create }: { create: ReactNode }) {
  const navigate = useNavigate()
  const list = useListing(integrationsQuery)
  return (
    <ListTable
      list={list}
      label="Integrations"
      columns={columns}
      keyOf={({ name }) => name}
      open={({ name }) => void navigate({ to: paths.integration(name) })}
      empty={
        <Empty icon={IconPlugConnected} title="Nothing outside is joined yet" actions={create}>
          A channel of Slack or Teams, or a program, can be told what happens to requests. Argo CD, Flux or a cluster
          can be looked at, to say whether a change is live. Everybody chooses for themselves in the settings how they
          are told.
        </Empty>
      }
    />
  )
}
