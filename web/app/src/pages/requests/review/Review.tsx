import { Badge, Group, Stack, Tabs, Text, Title } from '@mantine/core'
import { IconAlertTriangle, IconFlame, IconRefreshAlert } from '@tabler/icons-react'
import { lazy, type ReactNode, Suspense } from 'react'
import type { Request } from '../../../api/requests'
import { RequestSentence } from '../../../parts/RequestSentence'
import { Changes } from '../../../parts/request/Changes'
import { staleness } from '../../../parts/request/diff'
import { Stages } from '../../../parts/request/Stages'
import { nameOf, over } from '../../../parts/requestWords'
import { StateBadge } from '../../../parts/StateBadge'
import { Note } from '../../../ui/Note'
import { Failed, Loading } from '../../../ui/states'
import { Countdown, When } from '../../../ui/When'
import { ActionBar } from './ActionBar'
import { Envelopes } from './Envelopes'
import { Facts } from './Facts'
import { Line } from './Line'
import classes from './Review.module.css'
import { Rollout } from './Rollout'
import { useFollow } from './useFollow'
import { Votes } from './Votes'

const Checks = lazy(() => import('../../../parts/request/Checks').then((part) => ({ default: part.Checks })))
const History = lazy(() => import('../../../parts/request/History').then((part) => ({ default: part.History })))

interface Props {
  id: string
  /** What a list said of it, to begin with. */
  told?: Request | undefined
  /** The page has the sentence as its heading already. */
  headed?: boolean
  /** Beside the heading. */
  extra?: ReactNode
}

/** One request with all that somebody has to know who decides on it, as it changes. */
export function Review({ id, told, headed = false, extra }: Props) {
  const { query, line } = useFollow(id, told)
  if (query.isPending) return <Loading what="Loading the request" />
  if (query.error && !query.data) return <Failed error={query.error} again={() => void query.refetch()} />
  const request = query.data
  return (
    <article className={classes.review} aria-label="Request" data-request={id}>
      <Account request={request} headed={headed} state={<Line state={line} />} extra={extra} />
      <ActionBar request={request} />
    </article>
  )
}

interface AccountProps {
  request: Request
  headed: boolean
  /** Beside its state. */
  state?: ReactNode
  extra?: ReactNode
  /** It is told as it was: nothing runs on, and nothing can be opened. */
  past?: boolean
}

/** What there is to know about a request. */
export function Account({ request, headed, state, extra, past = false }: AccountProps) {
  const changes = request.operation === 'patch' // what it would do is what one decides on
  return (
    <div className={classes.content}>
      <Stack gap="sm">
        <Group justify="space-between" gap="xs">
          <Group gap="xs">
            <StateBadge request={request} />
            {request.glass && (
              <Badge color="red" leftSection={<IconFlame size={12} aria-hidden />}>
                Break-glass
              </Badge>
            )}
            {request.place.environment_kind === 'prod' && <Badge color="gray">Production</Badge>}
            {state}
          </Group>
          {extra}
        </Group>
        {!headed && (
          <Title order={2} className={classes.title} tabIndex={-1}>
            <RequestSentence request={request} />
          </Title>
        )}
        <blockquote className={classes.reason}>{request.reason}</blockquote>
        <Text size="sm" c="dimmed">
          Asked <When at={request.submitted_at} />
          {request.state === 'pending' && !past && (
            <>
              {' · '}ends in <Countdown until={request.pending_until} over="a moment" /> unless it is approved
            </>
          )}
        </Text>
      </Stack>
      <Notes request={request} />
      {changes && <More request={request} />}
      <Stages request={request} />
      <Rollout request={request} />
      <Facts request={request} />
      {!past && <Envelopes request={request} />}
      <Votes request={request} />
      {!changes && <More request={request} />}
    </div>
  )
}

/** What a request does key by key, whether it may, and what became of it so far. */
function More({ request }: { request: Request }) {
  return (
    <Tabs defaultValue="changes" keepMounted={false}>
      <Tabs.List>
        <Tabs.Tab value="changes">{request.operation === 'read' ? 'Keys' : 'Changes'}</Tabs.Tab>
        <Tabs.Tab value="checks">Checks</Tabs.Tab>
        <Tabs.Tab value="history">History</Tabs.Tab>
      </Tabs.List>
      <Tabs.Panel value="changes" pt="md">
        <Changes request={request} />
      </Tabs.Panel>
      <Tabs.Panel value="checks" pt="md">
        <Suspense fallback={<Loading />}>
          <Checks request={request} />
        </Suspense>
      </Tabs.Panel>
      <Tabs.Panel value="history" pt="md">
        <Suspense fallback={<Loading />}>
          <History request={request} />
        </Suspense>
      </Tabs.Panel>
    </Tabs>
  )
}

/** What changes how one looks at a request. */
function Notes({ request }: { request: Request }) {
  const stale = staleness(request.patch, over(request.state))
  const { glass, failure, comment } = request
  return (
    <>
      {glass && (
        <Note tone="red" icon={IconFlame} title="This went without approval">
          <Stack gap={4}>
            <Text>
              {nameOf(request.requester)}: “{glass.reason}”
            </Text>
            {glass.review === 'done' ? (
              <Text>
                {nameOf(glass.by)} reviewed it and found it{' '}
                <strong>{glass.outcome === 'justified' ? 'justified' : 'not justified'}</strong>: “{glass.comment}”
              </Text>
            ) : (
              <Text>
                {glass.review === 'overdue' ? (
                  'Its review is overdue.'
                ) : (
                  <>
                    It has to be reviewed within <Countdown until={glass.review_until} />.
                  </>
                )}
              </Text>
            )}
          </Stack>
        </Note>
      )}
      {stale && (
        <Note tone="yellow" icon={IconRefreshAlert} title="The secret changed since">
          {stale}
        </Note>
      )}
      {failure && (
        <Note tone="red" icon={IconAlertTriangle} title="It could not be carried out">
          <Text>{failure.detail}</Text>
          <Text size="xs" c="dimmed">
            {failure.code}
          </Text>
        </Note>
      )}
      {comment && !request.fill?.refused && (
        <Text>
          {nameOf(request.requester)} took it back: “{comment}”
        </Text>
      )}
    </>
  )
}
