import { Button, Text } from '@mantine/core'
import { IconFilterOff, IconKey } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useListing } from '../../api/listing'
import { countQuery, type Secret, secretsQuery } from '../../api/secrets'
import { ListTable } from '../../parts/ListTable'
import { paths } from '../../paths'
import { many, useFilters } from '../../search'
import { Empty } from '../../ui/states'
import { ScanButton } from '../jobs/ScanButton'
import {
  actionColumn,
  ageColumn,
  environmentColumn,
  nameColumn,
  ownerColumn,
  rowHeight,
  versionColumn,
} from './columns'
import { Frame } from './Frame'
import { cleared, filtersOf, isNarrowed } from './filters'
import { withLabel } from './labels'
import { counted } from './secretWords'

/** All secrets, narrowed by what the address says. */
export function SecretList() {
  const [search, change] = useFilters()
  const navigate = useNavigate()
  const filters = filtersOf(search)
  const list = useListing(secretsQuery(filters))
  const count = useQuery(countQuery(filters))
  const labels = many(search, 'label')
  // biome-ignore lint/correctness/useExhaustiveDependencies: another label makes other columns, and nothing else does
  const columns = useMemo(
    () => [
      nameColumn<Secret>((label) => change({ label: withLabel(labels, label) })),
      ownerColumn<Secret>(),
      environmentColumn<Secret>(),
      ageColumn<Secret>(),
      versionColumn<Secret>(),
      actionColumn<Secret>(),
    ],
    [search],
  )
  return (
    <Frame
      parts={['owner', 'age', 'status']}
      aside={
        <Text size="sm" c="dimmed" role="status" style={{ whiteSpace: 'nowrap' }}>
          {count.data ? counted(count.data) : ''}
        </Text>
      }
    >
      <ListTable
        list={list}
        label="Secrets"
        columns={columns}
        rowHeight={rowHeight}
        keyOf={(secret) => secret.id}
        open={(secret) => void navigate({ to: paths.secret(secret.id) })}
        empty={
          isNarrowed(search) ? (
            <Empty
              icon={IconFilterOff}
              title="No secret is like that"
              actions={
                <Button variant="default" onClick={() => change(cleared)}>
                  Clear filters
                </Button>
              }
            >
              All filters must hold at once. Take one away, or look among those that are gone.
            </Empty>
          ) : (
            <Empty icon={IconKey} title="The inventory is empty" actions={<ScanButton />}>
              A scan of a connection fills it: an agent lists what the store holds, names and labels and never a value.
            </Empty>
          )
        }
      />
    </Frame>
  )
}
