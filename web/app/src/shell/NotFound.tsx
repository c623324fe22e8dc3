import { Button } from '@mantine/core'
import { IconMapOff } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { paths } from '../paths'
import { Empty } from '../ui/states'

export function NotFound() {
  return (
    <main style={{ padding: 24 }}>
      <Empty
        icon={IconMapOff}
        title="There is no such page"
        actions={
          <Button component={Link} to={paths.inbox()} variant="default">
            Go to the inbox
          </Button>
        }
      >
        The address may be mistyped, or the page may have moved.
      </Empty>
    </main>
  )
}
