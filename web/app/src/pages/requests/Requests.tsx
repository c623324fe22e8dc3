import { Button, Chip, Group, SegmentedControl, Text } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { IconSend } from '@tabler/icons-react'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'
import { type Request, requestsIn, requestsQuery } from '../../api/requests'
import { RequestSentence } from '../../parts/RequestSentence'
import { StateBadge } from '../../parts/StateBadge'
import { paths } from '../../paths'
import { one, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { type Column, DataTable } from '../../ui/DataTable'
import { Page } from '../../ui/Page'
import { Empty, Failed, Forbidden, Loading } from '../../ui/states'
import { When } from '../../ui/When'
import { Narrow } from './Narrow'
import classes from './Requests.module.css'
import { filtersOf, narrowed, type View, viewOf, views } from './views'

const everybodys = 'Who asked for what, who decided, and what became of it.'
const own =
  'What you asked for, who decided, and what became of it. To see those of others needs the permission request.list.all.'

/** Everybody's requests, or one's own: what is under way, what waits for whom, and what became of it. */
export function Requests() {
  const me = useMe()
  const refused = whyNot(me, 'request.list', 'see requests')
  return (
    <Page title="Requests" about={me.permissions.includes('request.list.all') ? everybodys : own}>
      {refused ? <Forbidden reason={refused} /> : <List />}
    </Page>
  )
}

function List() {
  const me = useMe()
  const navigate = useNavigate()
  const [search] = useFilters()
  const everybody = me.permissions.includes('request.list.all')
  const list = useInfiniteQuery(requestsQuery(filtersOf(search, everybody)))
  const rows = requestsIn(list.data)
  const narrow = useMediaQuery('(max-width: 48em)') ?? false
  const { fetchNextPage } = list
  const more = useCallback(() => void fetchNextPage(), [fetchNextPage])
  return (
    <>
      <Filters everybody={everybody} />
      {list.isPending ? (
        <Loading what="Loading requests" />
      ) : list.error && rows.length === 0 ? (
        <Failed error={list.error} again={() => void list.refetch()} />
      ) : rows.length === 0 && !list.hasNextPage ? (
        <None />
      ) : (
        <DataTable
          label="Requests"
          columns={narrow ? short : columns}
          rows={rows}
          keyOf={(row) => row.id}
          open={(row) => void navigate({ to: paths.request(row.id) })}
          more={list.hasNextPage}
          loadMore={more}
          loadingMore={list.isFetchingNextPage}
          rowHeight={narrow ? 76 : 44}
        />
      )}
    </>
  )
}

const columns: Column<Request>[] = [
  { id: 'what', title: 'Request', width: 'minmax(0, 6fr)', cell: (row) => <What row={row} /> },
  {
    id: 'reason',
    title: 'Reason',
    width: 'minmax(0, 3fr)',
    cell: (row) => (
      <Text inherit c="dimmed" truncate>
        {row.reason}
      </Text>
    ),
  },
  { id: 'place', title: 'Place', width: 'minmax(0, 1.6fr)', cell: (row) => placeOf(row) },
  { id: 'state', title: 'State', width: '150px', cell: (row) => <StateBadge request={row} /> },
  {
    id: 'when',
    title: 'Asked',
    width: '104px',
    end: true,
    cell: (row) => <When at={row.submitted_at} c="dimmed" size="sm" />,
  },
]

const short: Column<Request>[] = [
  {
    id: 'what',
    title: 'Request',
    width: 'minmax(0, 1fr)',
    cell: (row) => (
      <div className={classes.stacked}>
        <div className={classes.clamped}>
          <What row={row} />
        </div>
        <Group gap="xs" wrap="nowrap">
          <StateBadge request={row} />
          <When at={row.submitted_at} c="dimmed" size="xs" />
        </Group>
      </div>
    ),
  },
]

function What({ row }: { row: Request }) {
  return (
    <Link to={paths.request(row.id)} className={classes.link} tabIndex={-1}>
      <RequestSentence request={row} />
    </Link>
  )
}

function placeOf({ place }: Request) {
  const where = [place.project, place.environment].filter(Boolean).join(' / ')
  return (
    <Text inherit c="dimmed" truncate>
      {where || '–'}
    </Text>
  )
}

function Filters({ everybody }: { everybody: boolean }) {
  const [search, change] = useFilters()
  return (
    <Group justify="space-between" gap="sm">
      <Chip.Group
        value={one(search, 'state') ? '' : viewOf(search)}
        onChange={(view) => change({ show: view === 'all' ? '' : (view as string), state: undefined })}
      >
        <Group gap={6} role="radiogroup" aria-label="Which requests">
          {(Object.keys(views) as View[]).map((view) => (
            <Chip key={view} value={view} size="xs" radius="md" variant="light">
              {views[view].label}
            </Chip>
          ))}
        </Group>
      </Chip.Group>
      <Group gap="xs">
        {everybody && (
          <SegmentedControl
            size="xs"
            aria-label="Whose requests"
            value={one(search, 'mine') === 'true' ? 'mine' : 'everybody'}
            onChange={(whose) => change({ mine: whose === 'mine' ? 'true' : '' })}
            data={[
              { value: 'everybody', label: 'Everybody’s' },
              { value: 'mine', label: 'Mine' },
            ]}
          />
        )}
        <Narrow />
      </Group>
    </Group>
  )
}

/** Why there is nothing, and what to do. */
function None() {
  const [search, change] = useFilters()
  const me = useMe()
  const filtered = narrowed(search).length > 0 || one(search, 'state') !== '' || one(search, 'mine') !== ''
  if (filtered) {
    const clear = { connection: '', project: '', environment: '', operation: '', secret: '', state: '', mine: '' }
    return (
      <Empty
        icon={IconSend}
        title="No request fits these filters"
        actions={
          <Button variant="default" onClick={() => change(clear)}>
            Clear the filters
          </Button>
        }
      />
    )
  }
  const view = viewOf(search)
  return (
    <Empty
      icon={IconSend}
      title={views[view].none}
      actions={
        view === 'all' && me.permissions.includes('request.create') ? (
          <Button component={Link} to={paths.newRequest()}>
            Ask for a secret
          </Button>
        ) : undefined
      }
    >
      {view === 'all'
        ? 'Whoever needs a secret says which and why; others decide; an agent carries it out, and the value is opened once.'
        : 'It comes here by itself as soon as there is something.'}
    </Empty>
  )
}
