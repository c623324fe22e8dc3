import type { ReportFilters } from '../../api/reports'
import type { Search } from '../../search'
import { filtersOf } from './filters'

/** reportFiltersOf reads the address for a report: reports are about what is there now. */
export function reportFiltersOf(search: Search): ReportFilters {
  const { status: _, ...filters } = filtersOf(search)
  return filters
}
