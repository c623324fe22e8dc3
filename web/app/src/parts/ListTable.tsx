import { Button, Group, Text } from '@mantine/core'
import { IconRefresh } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import type { Listing } from '../api/listing'
import { type Column, DataTable } from '../ui/DataTable'
import { Failed, Loading } from '../ui/states'
import classes from './ListTable.module.css'

interface Props<Row> {
  list: Listing<Row>
  label: string
  columns: Column<Row>[]
  keyOf: (row: Row) => string
  open?: (row: Row) => void
  rowHeight?: number
  /** The row that is shown beside the list. */
  selected?: string | undefined
  /** What is shown when there is nothing, and nothing else to come. */
  empty: ReactNode
}

/** A list of the server as a table, with what is shown while there is none. */
export function ListTable<Row>({ list, label, empty, ...table }: Props<Row>) {
  if (list.loading) return <Loading what={`Loading ${label.toLowerCase()}`} />
  if (list.error && list.rows.length === 0) return <Failed error={list.error} again={list.again} />
  if (list.rows.length === 0 && !list.more) return empty
  return (
    <div className={classes.list} data-before={list.before || undefined} aria-busy={list.before}>
      {list.error ? <Failed error={list.error} again={list.again} /> : null}
      {list.old && (
        <Group className={classes.old} role="status" gap="sm">
          <Text size="sm">Something in this list has changed since you began to scroll.</Text>
          <Button size="compact-sm" variant="default" leftSection={<IconRefresh size={14} />} onClick={list.renew}>
            Show it from the beginning
          </Button>
        </Group>
      )}
      <DataTable
        label={label}
        rows={list.rows}
        more={list.more}
        loadMore={list.loadMore}
        loadingMore={list.loadingMore}
        {...table}
      />
    </div>
  )
}
