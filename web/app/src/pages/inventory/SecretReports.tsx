// Two reports that are lists of secrets: those that are old, and those that are nobody's.
import { Text } from '@mantine/core'
import { IconMoodCheck } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { type Listing, useListing } from '../../api/listing'
import { type Report, staleQuery, unownedQuery } from '../../api/reports'
import type { Secret } from '../../api/secrets'
import { ListTable } from '../../parts/ListTable'
import { paths } from '../../paths'
import { many, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { Empty, Forbidden } from '../../ui/states'
import { CsvLink } from './CsvLink'
import { actionColumn, ageColumn, environmentColumn, nameColumn, ownerColumn, rowHeight } from './columns'
import { Frame } from './Frame'
import { withLabel } from './labels'
import { reportFiltersOf } from './reportFilters'
import type { Part } from './SideFilters'
import { staleDays } from './secretWords'

export function StaleReport() {
  const unread = whyNot(useMe(), 'report.read', 'read reports')
  return unread ? <Forbidden reason={unread} /> : <Stale />
}

function Stale() {
  const [search] = useFilters()
  const filters = reportFiltersOf(search)
  const days = filters.older_than_days ?? staleDays
  return (
    <SecretReport
      report="stale"
      parts={['owner', 'age']}
      list={useListing(staleQuery(filters))}
      says={`Secrets that nobody changed for ${days} days or more, the oldest first. Stores that tell no times are not in it.`}
      none={`No secret here is older than ${days} days`}
    />
  )
}

export function UnownedReport() {
  const unread = whyNot(useMe(), 'report.read', 'read reports')
  return unread ? <Forbidden reason={unread} /> : <Unowned />
}

function Unowned() {
  const [search] = useFilters()
  const filters = reportFiltersOf(search)
  return (
    <SecretReport
      report="unowned"
      parts={['age']}
      list={useListing(unownedQuery(filters))}
      says="Secrets that are nobody's: no rule and no person says whose. Open one to say it, or make a rule for many."
      none="Every secret here has an owner"
    />
  )
}

interface Props {
  report: Report
  parts: Part[]
  list: Listing<Secret>
  says: string
  none: string
}

function SecretReport({ report, parts, list, says, none }: Props) {
  const [search, change] = useFilters()
  const navigate = useNavigate()
  // biome-ignore lint/correctness/useExhaustiveDependencies: another address makes other columns, and nothing else does
  const columns = useMemo(
    () => [
      nameColumn<Secret>((label) => change({ label: withLabel(many(search, 'label'), label) })),
      ...(parts.includes('owner') ? [ownerColumn<Secret>()] : []),
      environmentColumn<Secret>(),
      ageColumn<Secret>(),
      actionColumn<Secret>(),
    ],
    [search],
  )
  return (
    <Frame parts={parts} aside={<CsvLink report={report} filters={reportFiltersOf(search)} />}>
      <Text size="sm" c="dimmed">
        {says}
      </Text>
      <ListTable
        list={list}
        label="Secrets of the report"
        columns={columns}
        rowHeight={rowHeight}
        keyOf={(secret) => secret.id}
        open={(secret) => void navigate({ to: paths.secret(secret.id) })}
        empty={
          <Empty icon={IconMoodCheck} title={none}>
            A report is about what scans have met. Filters narrow it.
          </Empty>
        }
      />
    </Frame>
  )
}
