// The columns of lists of secrets. There is none for values: the inventory has no value of any secret.
import { Badge, Text } from '@mantine/core'
import type { Secret } from '../../api/secrets'
import { SecretName } from '../../parts/SecretName'
import type { Column } from '../../ui/DataTable'
import { When } from '../../ui/When'
import { LabelChips } from './LabelChips'
import type { Label } from './labels'
import { RowActions } from './RowActions'
import { rotation } from './secretWords'

export type ColumnOf<Row extends Secret> = Column<Row>

export const nameColumn = <Row extends Secret>(): Column<Row> => ({
  id: 'secret',
  title: 'Secret',
  width: 'minmax(0, 2.2fr)',
  cell: (secret) => (
    <>
      <SecretName secret={secret.secret} />
      {secret.status === 'gone' && (
        <Badge color="gray" ml={8} size="sm">
          Gone
        </Badge>
      )}
    </>
  ),
})

export const labelColumn = <Row extends Secret>(choose: (label: Label) => void): Column<Row> => ({
  id: 'labels',
  title: 'Labels',
  width: 'minmax(0, 1.6fr)',
  wide: true,
  cell: (secret) => <LabelChips labels={secret.labels} choose={choose} most={3} />,
})

const nothing = (
  <Text inherit span c="dimmed">
    –
  </Text>
)

export const ownerColumn = <Row extends Secret>(): Column<Row> => ({
  id: 'owner',
  title: 'Owner',
  width: 'minmax(0, 0.8fr)',
  wide: true,
  cell: (secret) =>
    secret.owner ?? (
      <Text inherit span c="dimmed">
        nobody
      </Text>
    ),
})

export const environmentColumn = <Row extends Secret>(): Column<Row> => ({
  id: 'environment',
  title: 'Environment',
  width: 'minmax(0, 0.8fr)',
  wide: true,
  cell: (secret) => secret.environment ?? nothing,
})

export const ageColumn = <Row extends Secret>(): Column<Row> => ({
  id: 'age',
  title: 'Last change',
  width: '104px',
  cell: (secret) => {
    const { label, says, tone } = rotation(secret)
    return tone === 'gray' ? (
      <span title={says}>{label}</span>
    ) : (
      <Badge color={tone} title={says}>
        {label}
      </Badge>
    )
  },
})

export const versionColumn = <Row extends Secret>(): Column<Row> => ({
  id: 'version',
  title: 'Version',
  width: '64px',
  wide: true,
  cell: (secret) =>
    secret.version ? (
      <Text span size="xs" c="dimmed" ff="monospace" title={secret.version}>
        {secret.version}
      </Text>
    ) : (
      nothing
    ),
})

export const actionColumn = <Row extends Secret>(): Column<Row> => ({
  id: 'actions',
  title: '',
  width: '64px',
  end: true,
  wide: true,
  cell: (secret) => <RowActions secret={secret} />,
})

export const seenColumn = <Row extends Secret & { seen_at: string }>(): Column<Row> => ({
  id: 'seen',
  title: 'Seen',
  width: '120px',
  cell: (row) => <When at={row.seen_at} />,
})
