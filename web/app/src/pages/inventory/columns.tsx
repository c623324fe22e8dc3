// The columns of lists of secrets. There is none for values: the inventory has no value of any secret.
import { Badge, Text } from '@mantine/core'
import type { Secret } from '../../api/secrets'
import { SecretName } from '../../parts/SecretName'
import type { Column } from '../../ui/DataTable'
import { When } from '../../ui/When'
import classes from './columns.module.css'
import { LabelChips } from './LabelChips'
import type { Label } from './labels'
import { RowActions } from './RowActions'
import { rotation } from './secretWords'

/** Room for a name, and its labels below it. */
export const rowHeight = 60

/** The name of a secret, and below it its labels, each of which narrows the list. */
export const nameColumn = <Row extends Secret>(choose: (label: Label) => void): Column<Row> => ({
  id: 'secret',
  title: 'Secret and its labels',
  width: 'minmax(0, 1fr)',
  cell: (secret) => (
    <div className={classes.two}>
      <div className={classes.name}>
        <SecretName secret={secret.secret} />
        {secret.status === 'gone' && (
          <Badge color="gray" ml={8} size="sm">
            Gone
          </Badge>
        )}
      </div>
      {Object.keys(secret.labels).length > 0 && <LabelChips labels={secret.labels} choose={choose} most={4} />}
    </div>
  ),
})

const nothing = (
  <Text inherit span c="dimmed">
    –
  </Text>
)

export const ownerColumn = <Row extends Secret>(): Column<Row> => ({
  id: 'owner',
  title: 'Owner',
  width: 'minmax(0, 128px)',
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
  width: 'minmax(0, 112px)',
  wide: true,
  cell: (secret) => secret.environment ?? nothing,
})

export const ageColumn = <Row extends Secret>(): Column<Row> => ({
  id: 'age',
  title: 'Last change',
  width: '92px',
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
