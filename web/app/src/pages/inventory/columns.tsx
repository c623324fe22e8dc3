// The columns of lists of secrets. There is none for values: the inventory has no value of any secret.
// Cells are plain elements: a list is long, and scrolls fast.
import type { Secret } from '../../api/secrets'
import type { Column } from '../../ui/DataTable'
import { When } from '../../ui/When'
import classes from './columns.module.css'
import { LabelChips } from './LabelChips'
import { LongName } from './LongName'
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
        <LongName secret={secret.secret} />
        {secret.status === 'gone' && <span className={classes.pill}>Gone</span>}
      </div>
      {Object.keys(secret.labels).length > 0 && <LabelChips labels={secret.labels} choose={choose} most={4} />}
    </div>
  ),
})

const quiet = (text: string) => <span className={classes.quiet}>{text}</span>

export const ownerColumn = <Row extends Secret>(): Column<Row> => ({
  id: 'owner',
  title: 'Owner',
  width: 'minmax(0, 112px)',
  wide: true,
  cell: (secret) => secret.owner ?? quiet('nobody'),
})

export const environmentColumn = <Row extends Secret>(): Column<Row> => ({
  id: 'environment',
  title: 'Assigned environment',
  width: 'minmax(0, 132px)',
  wide: true,
  cell: (secret) => secret.environment ?? quiet('–'),
})

export const ageColumn = <Row extends Secret>(): Column<Row> => ({
  id: 'age',
  title: 'Last change',
  width: '92px',
  cell: (secret) => {
    const { label, says, tone } = rotation(secret)
    return (
      <span className={tone === 'gray' ? undefined : classes.pill} data-tone={tone} title={says}>
        {label}
      </span>
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
      <span className={classes.version} title={secret.version}>
        {secret.version}
      </span>
    ) : (
      quiet('–')
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
