import { Button } from '@mantine/core'
import { IconMapOff } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { Page } from '../ui/Page'
import { Empty } from '../ui/states'

interface Props {
  title: string
  what: string
  to: string
  back: string
}

/** Instead of a page about one thing that is not there, or that one may not know of. */
export function Missing({ title, what, to, back }: Props) {
  return (
    <Page title={title}>
      <Empty
        icon={IconMapOff}
        title={what}
        actions={
          <Button component={Link} to={to} variant="default">
            {back}
          </Button>
        }
      >
        It may be gone, or it may not be yours to see.
      </Empty>
    </Page>
  )
}
