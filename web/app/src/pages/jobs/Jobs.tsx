import { Button, Group, NativeSelect, Text } from '@mantine/core'
import { IconFilterOff, IconRefreshDot } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { namesQuery } from '../../api/connections'
import { ended, type Job, type JobFilters, type JobState, type JobType, jobQuery, jobsQuery } from '../../api/jobs'
import { useListing } from '../../api/listing'
import { ListTable } from '../../parts/ListTable'
import { paths } from '../../paths'
import { many, one, type Search, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import type { Column } from '../../ui/DataTable'
import { Page } from '../../ui/Page'
import { Empty, Forbidden } from '../../ui/states'
import { When } from '../../ui/When'
import { JobBadge } from './JobBadge'
import { queuedBy, shortProgress, stateWords, title, typeWords } from './jobWords'
import { ScanButton } from './ScanButton'

/** How often a job that is under way is looked at, in milliseconds: its progress leaves no facts. */
const glance = 2_000

/** Scans and other work of agents that no request stands behind. */
export function Jobs() {
  const unseen = whyNot(useMe(), 'job.list', 'see jobs')
  return (
    <Page
      title="Jobs"
      about="Scans of connections, comparisons of values, and looks at the names of keys: what agents do without a request."
      actions={<ScanButton />}
    >
      {unseen ? <Forbidden reason={unseen} /> : <JobList />}
    </Page>
  )
}

const columns: Column<Job>[] = [
  {
    id: 'job',
    title: 'Job',
    width: 'minmax(0, 1.6fr)',
    cell: (job) => <span title={title(job)}>{title(job)}</span>,
  },
  {
    id: 'state',
    title: 'State',
    width: '104px',
    cell: (job) => <Fresh job={job} show={(j) => <JobBadge state={j.state} />} />,
  },
  {
    id: 'progress',
    title: 'Progress',
    width: 'minmax(0, 1.4fr)',
    wide: true,
    cell: (job) => (
      <Text span inherit c="dimmed">
        <Fresh job={job} show={(j) => j.failure?.detail ?? shortProgress(j)} />
      </Text>
    ),
  },
  { id: 'by', title: 'Started by', width: 'minmax(0, 0.8fr)', wide: true, cell: queuedBy },
  { id: 'queued', title: 'Started', width: '116px', cell: (job) => <When at={job.queued_at} /> },
]

/** A part of a row of a job that may be under way. */
function Fresh({ job, show }: { job: Job; show: (job: Job) => React.ReactNode }) {
  const now = useQuery({
    ...jobQuery(job.id),
    enabled: !ended(job.state),
    refetchInterval: ({ state }) => (state.data && ended(state.data.state) ? false : glance),
  })
  return show(now.data && now.data.seq >= job.seq ? now.data : job)
}

function JobList() {
  const [search, change] = useFilters()
  const navigate = useNavigate()
  const may = useMe().permissions.includes('connection.list')
  const connections = useQuery({ ...namesQuery, enabled: may })
  const filters = filtersOf(search)
  const list = useListing(jobsQuery(filters))
  const narrowed = Object.keys(filters).length > 0
  return (
    <>
      <Group gap="sm" align="flex-end">
        <NativeSelect
          label="Connection"
          size="xs"
          value={one(search, 'connection')}
          onChange={(event) => change({ connection: event.currentTarget.value })}
          data={[
            { value: '', label: 'All connections' },
            ...(connections.data ?? []).map(({ name }) => ({ value: name, label: name })),
          ]}
        />
        <NativeSelect
          label="Kind"
          size="xs"
          value={one(search, 'type')}
          onChange={(event) => change({ type: event.currentTarget.value })}
          data={[
            { value: '', label: 'All kinds' },
            ...Object.entries(typeWords).map(([value, { label }]) => ({ value, label })),
          ]}
        />
        <NativeSelect
          label="State"
          size="xs"
          value={one(search, 'state')}
          onChange={(event) => change({ state: event.currentTarget.value })}
          data={[
            { value: '', label: 'All states' },
            ...Object.entries(stateWords).map(([value, { label }]) => ({ value, label })),
          ]}
        />
      </Group>
      <ListTable
        list={list}
        label="Jobs"
        columns={columns}
        keyOf={(job) => job.id}
        open={(job) => void navigate({ to: paths.job(job.id) })}
        empty={
          narrowed ? (
            <Empty
              icon={IconFilterOff}
              title="No job is like that"
              actions={
                <Button
                  variant="default"
                  onClick={() => change({ connection: undefined, type: undefined, state: undefined })}
                >
                  Clear filters
                </Button>
              }
            />
          ) : (
            <Empty icon={IconRefreshDot} title="There was no job yet" actions={<ScanButton />}>
              A scan has an agent list what a connection holds. It fills the inventory. A connection can also be scanned
              by a schedule.
            </Empty>
          )
        }
      />
    </>
  )
}

function filtersOf(search: Search): JobFilters {
  const filters: JobFilters = {}
  const connection = one(search, 'connection')
  if (connection) filters.connection = connection
  const type = one(search, 'type')
  if (type in typeWords) filters.type = type as JobType
  const states = many(search, 'state').filter((state): state is JobState => state in stateWords)
  if (states.length > 0) filters.state = states
  return filters
}
