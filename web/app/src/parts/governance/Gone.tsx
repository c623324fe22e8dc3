import { Button } from '@mantine/core'
import { IconMapOff } from '@tabler/icons-react'
import { Page } from '../../ui/Page'
import { Empty } from '../../ui/states'

/** An address of an object that is not there, or not any more. */
export function Gone({ title, what, leave }: { title: string; what: string; leave: () => void }) {
  return (
    <Page title={title}>
      <Empty
        icon={IconMapOff}
        title={`There is not ${what}`}
        actions={
          <Button variant="default" onClick={leave}>
            Back
          </Button>
        }
      >
        It may have been removed; the history of changes says by whom.
      </Empty>
    </Page>
  )
}
