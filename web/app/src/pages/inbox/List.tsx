import { Badge, Button, Text, Title } from '@mantine/core'
import { IconFlame, IconPencil, IconShieldLock } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import type { Request } from '../../api/requests'
import { asks, nameOf } from '../../parts/requestWords'
import { SecretName } from '../../parts/SecretName'
import { paths } from '../../paths'
import { When } from '../../ui/When'
import classes from './Inbox.module.css'
import { kinds, type Part } from './triage'

interface Props {
  parts: Part[]
  /** The request that is shown beside the list. */
  at: string
  picked: ReadonlySet<string>
  toggle: (id: string) => void
  open: (request: Request) => void
  more: boolean
  loadMore: () => void
  loading: boolean
}

export function List({ parts, at, picked, toggle, open, more, loadMore, loading }: Props) {
  return (
    <div className={classes.list}>
      {parts.map((part) => (
        <section key={part.kind} aria-labelledby={`part-${part.kind}`}>
          <Title order={2} id={`part-${part.kind}`} className={classes.part}>
            {kinds[part.kind]} <span className={classes.count}>{part.requests.length}</span>
          </Title>
          <ul className={classes.rows}>
            {part.requests.map((request) => (
              <Row
                key={request.id}
                request={request}
                current={request.id === at}
                picked={picked.has(request.id)}
                toggle={part.kind === 'decide' ? toggle : undefined}
                open={open}
              />
            ))}
          </ul>
        </section>
      ))}
      {more && (
        <Button variant="subtle" color="gray" size="xs" m="sm" onClick={loadMore} loading={loading}>
          Show more
        </Button>
      )}
    </div>
  )
}

interface RowProps {
  request: Request
  current: boolean
  picked: boolean
  toggle: ((id: string) => void) | undefined
  open: (request: Request) => void
}

function Row({ request, current, picked, toggle, open }: RowProps) {
  return (
    <li className={classes.row} data-current={current || undefined} data-picked={picked || undefined}>
      <div className={classes.pick}>
        {toggle && (
          <input
            type="checkbox"
            checked={picked}
            onChange={() => toggle(request.id)}
            aria-label={`Select the request of ${nameOf(request.requester)} for ${request.secret}`}
          />
        )}
      </div>
      <Link
        to={paths.inbox(request.id)}
        data-row={request.id}
        className={classes.link}
        aria-current={current ? 'true' : undefined}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return
          event.preventDefault()
          open(request)
        }}
      >
        <span className={classes.top}>
          <Text span fw={500} truncate>
            {nameOf(request.requester)}{' '}
            <Text span c="dimmed" fw={400}>
              {asks(request)}
            </Text>
          </Text>
          <Text span size="xs" c="dimmed" className={classes.time}>
            <When at={request.submitted_at} />
          </Text>
        </span>
        <span className={classes.secret}>
          <SecretName secret={request.secret} />
        </span>
        <span className={classes.bottom}>
          <Text span size="sm" c="dimmed" truncate flex={1}>
            {request.reason}
          </Text>
          <Marks request={request} />
        </span>
      </Link>
    </li>
  )
}

/** What makes a request weigh more than others. */
function Marks({ request }: { request: Request }) {
  const { approve } = request.actions
  return (
    <>
      {request.glass && (
        <Badge size="sm" color="red" leftSection={<IconFlame size={11} aria-hidden />}>
          Break-glass
        </Badge>
      )}
      {request.patch && (
        <Badge size="sm" color="yellow" leftSection={<IconPencil size={11} aria-hidden />}>
          {request.patch.changes.length === 1 ? '1 key' : `${request.patch.changes.length} keys`}
        </Badge>
      )}
      {approve.allowed && approve.step_up && (
        <Badge size="sm" color="gray" leftSection={<IconShieldLock size={11} aria-hidden />}>
          2nd factor
        </Badge>
      )}
      {request.place.environment_kind === 'prod' && (
        <Badge size="sm" color="gray">
          Prod
        </Badge>
      )}
    </>
  )
}
