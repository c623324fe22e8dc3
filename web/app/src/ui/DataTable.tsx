import { Loader, Text, VisuallyHidden } from '@mantine/core'
import { useVirtualizer } from '@tanstack/react-virtual'
import { type KeyboardEvent, type ReactNode, useCallback, useEffect, useRef, useState } from 'react'
import classes from './DataTable.module.css'

export interface Column<Row> {
  id: string
  title: string
  /** A part of the row's width, as a track of a CSS grid: `2fr`, `120px`, `minmax(0, 1fr)`. */
  width: string
  cell: (row: Row) => ReactNode
  /** Left out where there is no room for it. */
  wide?: boolean
  end?: boolean
}

interface Props<Row> {
  label: string
  columns: Column<Row>[]
  rows: Row[]
  keyOf: (row: Row) => string
  /** What a row leads to: by click, and by Enter on the row that has the focus. */
  open?: ((row: Row) => void) | undefined
  /** The row that is shown beside the list. */
  selected?: string | undefined
  /** There is more after the last row. */
  more?: boolean
  loadMore?: () => void
  loadingMore?: boolean
  /** How high a row is, in pixels. */
  rowHeight?: number
}

/**
 * A table of any length: only the rows that can be seen are in the document, and the next page is
 * asked for before the last row is reached. Arrow keys, Home and End move, Enter opens.
 */
export function DataTable<Row>({
  label,
  columns,
  rows,
  keyOf,
  open,
  selected,
  more = false,
  loadMore,
  loadingMore = false,
  rowHeight = 44,
}: Props<Row>) {
  const viewport = useRef<HTMLDivElement>(null)
  const [at, setAt] = useState(0)
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => viewport.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    getItemKey: useCallback((index: number) => keyOf(rows[index] as Row), [rows, keyOf]), // another one measures all rows again
  })
  const shown = list.getVirtualItems()
  const last = shown.at(-1)?.index ?? -1
  useEffect(() => {
    if (more && !loadingMore && last >= rows.length - 20) loadMore?.()
  }, [more, loadingMore, last, rows.length, loadMore])

  const focusRow = (index: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, index))
    setAt(next)
    list.scrollToIndex(next)
    requestAnimationFrame(() => viewport.current?.querySelector<HTMLElement>(`[data-index="${next}"]`)?.focus())
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (!(event.target as HTMLElement).matches('[data-index]')) return
    const moves: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      Home: 0,
      End: rows.length - 1,
      PageDown: at + 10,
      PageUp: at - 10,
    }
    const to = moves[event.key]
    const row = rows[at]
    if (to !== undefined) {
      event.preventDefault()
      focusRow(to)
    } else if (event.key === 'Enter' && row !== undefined) {
      open?.(row)
    }
  }
  const tracks = {
    '--tracks': columns.map((c) => c.width).join(' '),
    '--narrow': columns
      .filter((c) => !c.wide)
      .map((c) => c.width)
      .join(' '),
  }
  return (
    <div className={classes.frame} style={tracks as never}>
      <div role="table" aria-label={label} aria-rowcount={more ? -1 : rows.length + 1} className={classes.table}>
        <div role="rowgroup">
          <div role="row" aria-rowindex={1} className={classes.head}>
            {columns.map((column) => (
              <div
                key={column.id}
                role="columnheader"
                className={classes.cell}
                data-wide={column.wide || undefined}
                data-end={column.end || undefined}
              >
                {column.title || <VisuallyHidden>Actions</VisuallyHidden>}
              </div>
            ))}
          </div>
        </div>
        <div
          ref={viewport}
          role="rowgroup"
          className={classes.viewport}
          onKeyDown={onKeyDown}
          tabIndex={rows.length === 0 || !open ? 0 : undefined}
        >
          <div role="presentation" className={classes.space} style={{ height: list.getTotalSize() }}>
            {shown.map((item) => {
              const row = rows[item.index] as Row
              return (
                <div
                  key={item.key}
                  role="row"
                  aria-rowindex={item.index + 2}
                  aria-current={selected !== undefined && keyOf(row) === selected ? 'true' : undefined}
                  data-index={item.index}
                  data-opens={open ? true : undefined}
                  tabIndex={open ? (item.index === Math.min(at, rows.length - 1) ? 0 : -1) : undefined}
                  className={classes.row}
                  style={{ height: rowHeight, transform: `translateY(${item.start}px)` }}
                  onFocus={() => setAt(item.index)}
                  onClick={(event) => {
                    if ((event.target as HTMLElement).closest('a, button, input, label')) return
                    open?.(row)
                  }}
                >
                  {columns.map((column) => (
                    <div
                      key={column.id}
                      role="cell"
                      className={classes.cell}
                      data-wide={column.wide || undefined}
                      data-end={column.end || undefined}
                    >
                      {column.cell(row)}
                    </div>
                  ))}
                </div>
              )
            })}
          </div>
          {loadingMore && (
            <div role="presentation" className={classes.more}>
              <Loader size="xs" role="img" aria-label="Loading more" />
            </div>
          )}
        </div>
      </div>
      <Text size="xs" c="dimmed" className={classes.foot} aria-live="polite">
        {rows.length === 1 ? '1 row' : `${rows.length.toLocaleString('en')} rows`}
        {more && ' so far; scroll for more'}
      </Text>
    </div>
  )
}
