import { Button, Text, Title } from '@mantine/core'
import { IconInbox } from '@tabler/icons-react'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { decidedQuery, type Request, requestsIn } from '../../api/requests'
import { asks, nameOf } from '../../parts/requestWords'
import { SecretName } from '../../parts/SecretName'
import { StateBadge } from '../../parts/StateBadge'
import { paths } from '../../paths'
import { useMe } from '../../session/who'
import { Page } from '../../ui/Page'
import { Empty } from '../../ui/states'
import { When } from '../../ui/When'
import classes from './Inbox.module.css'

/** An inbox with nothing in it: what would come here, and what one decided last. */
export function AllDone({ waits }: { waits: number }) {
  const me = useMe()
  const decided = requestsIn(useInfiniteQuery(decidedQuery).data).slice(0, 5)
  return (
    <Page title="Inbox" wide={false}>
      <Empty
        icon={IconInbox}
        title="Nothing waits for you"
        actions={
          <>
            {me.permissions.includes('request.create') && (
              <Button component={Link} to={paths.newRequest()}>
                Ask for a secret
              </Button>
            )}
            <Button component={Link} to={paths.requests()} variant="default">
              See all requests
            </Button>
          </>
        }
      >
        {waits > 0 && <p>{waits === 1 ? 'Your last verdict is' : 'Your last verdicts are'} on the way.</p>}
        Here come requests that need your decision, values that your team is asked for, and what went without approval
        and has to be reviewed. What you asked for yourself shows up as soon as it can be opened.
      </Empty>
      {decided.length > 0 && (
        <section aria-labelledby="decided">
          <Title order={2} id="decided" mb="xs">
            What you decided last
          </Title>
          <ul className={classes.decided}>
            {decided.map((request) => (
              <Decided key={request.id} request={request} />
            ))}
          </ul>
        </section>
      )}
    </Page>
  )
}

function Decided({ request }: { request: Request }) {
  const me = useMe()
  const vote = request.votes.findLast(({ approver, via }) => [approver, ...(via ?? [])].some(({ id }) => id === me.id))
  return (
    <li>
      <Link to={paths.request(request.id)} className={classes.past}>
        <span>
          You {vote?.decision === 'rejected' ? 'denied' : 'approved'}: {nameOf(request.requester)} {asks(request)}{' '}
          <SecretName secret={request.secret} />
        </span>
        <span className={classes.pastEnd}>
          <StateBadge request={request} />
          {vote && (
            <Text span size="xs" c="dimmed">
              <When at={vote.at} />
            </Text>
          )}
        </span>
      </Link>
    </li>
  )
}
