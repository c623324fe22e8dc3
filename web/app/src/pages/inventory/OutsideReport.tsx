import { Badge, Text } from '@mantine/core'
import { IconShieldCheck } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useListing } from '../../api/listing'
import { type Outside, outsideQuery } from '../../api/reports'
import { ListTable } from '../../parts/ListTable'
import type { Tone } from '../../parts/requestWords'
import { paths } from '../../paths'
import { many, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import type { Column } from '../../ui/DataTable'
import { Empty, Forbidden } from '../../ui/states'
import { CsvLink } from './CsvLink'
import { environmentColumn, nameColumn, ownerColumn, rowHeight, seenColumn } from './columns'
import { Frame } from './Frame'
import { type Label, withLabel } from './labels'
import { reportFiltersOf } from './reportFilters'

const kinds: Record<Outside['kind'], { label: string; tone: Tone; says: string }> = {
  changed: { label: 'Changed', tone: 'red', says: 'A new version that no approved request wrote.' },
  created: {
    label: 'Created',
    tone: 'yellow',
    says: 'Made after the first complete scan, and not by an approved request.',
  },
  returned: { label: 'Returned', tone: 'yellow', says: 'It was gone, and is there again with another version.' },
}

/** Changes that went past the approvals. */
export function OutsideReport() {
  const unread = whyNot(useMe(), 'report.read', 'read reports')
  return unread ? <Forbidden reason={unread} /> : <Changes />
}

const columns = (choose: (label: Label) => void): Column<Outside>[] => [
  {
    id: 'kind',
    title: 'What happened',
    width: '110px',
    cell: ({ kind }) => (
      <Badge color={kinds[kind].tone} title={kinds[kind].says}>
        {kinds[kind].label}
      </Badge>
    ),
  },
  nameColumn<Outside>(choose),
  {
    id: 'versions',
    title: 'Versions',
    width: 'minmax(0, 1fr)',
    wide: true,
    cell: ({ from_version, to_version }) => (
      <Text
        span
        size="xs"
        ff="monospace"
        c="dimmed"
        title={from_version ? `${from_version} → ${to_version}` : to_version}
      >
        {from_version ? `${from_version} → ${to_version}` : to_version}
      </Text>
    ),
  },
  ownerColumn<Outside>(),
  environmentColumn<Outside>(),
  seenColumn<Outside>(),
]

function Changes() {
  const [search, change] = useFilters()
  const navigate = useNavigate()
  // biome-ignore lint/correctness/useExhaustiveDependencies: another address makes other columns, and nothing else does
  const shown = useMemo(() => columns((label) => change({ label: withLabel(many(search, 'label'), label) })), [search])
  const filters = reportFiltersOf(search)
  const list = useListing(outsideQuery(filters))
  return (
    <Frame parts={['owner', 'age']} aside={<CsvLink report="out-of-band" filters={filters} />}>
      <Text size="sm" c="dimmed">
        Versions that scans met and no approved request wrote: somebody changed the secret in its store, past the
        approvals. A store that lists no versions cannot show this.
      </Text>
      <ListTable
        list={list}
        label="Changes outside"
        columns={shown}
        rowHeight={rowHeight}
        keyOf={(row) => `${row.id} ${row.to_version} ${row.seen_at}`}
        open={(row) => void navigate({ to: paths.secret(row.id) })}
        empty={
          <Empty icon={IconShieldCheck} title="Nothing was changed past the approvals">
            This compares what scans meet with what approved requests wrote. It begins with the first complete scan.
          </Empty>
        }
      />
    </Frame>
  )
}
