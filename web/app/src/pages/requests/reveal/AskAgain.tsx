import { Button } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import type { Request } from '../../../api/requests'
import { paths } from '../../../paths'
import { useMe } from '../../../session/who'

/** Starts a new request like one of one's own, whose values are gone. */
export function AskAgain({ request, size = 'sm' }: { request: Request; size?: 'xs' | 'sm' }) {
  const me = useMe()
  if (request.requester.id !== me.id || !me.permissions.includes('request.create')) return null
  return (
    <Button component={Link} to={paths.newRequest({ from: request.id })} size={size} variant="default">
      Ask again
    </Button>
  )
}
