import { Button } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { csvOf, type Report, type ReportFilters } from '../../api/reports'

/** Downloads a whole report as a table for a spreadsheet, narrowed as the list is. */
export function CsvLink({ report, filters }: { report: Report; filters?: ReportFilters }) {
  return (
    <Button
      component="a"
      href={csvOf(report, filters)}
      download
      variant="default"
      size="sm"
      leftSection={<IconDownload size={15} />}
    >
      Download CSV
    </Button>
  )
}
