import type { ReactNode } from 'react'
import type { Request } from '../../../api/requests'
import { over } from '../../../parts/requestWords'
import { CopyButton } from '../../../ui/CopyButton'
import { Countdown } from '../../../ui/When'
import classes from './Review.module.css'

/** Where the secret lies and whose it is, and what else there is to know. What is not known is left out. */
export function Facts({ request }: { request: Request }) {
  const { place, ticket, workflow, until, provider_version } = request
  const facts: [string, ReactNode][] = [
    ['Project', place.project],
    ['Environment', place.environment],
    ['Team', place.team],
    ['Owner', place.owner],
    ['Network', request.cluster],
    ['Ticket', ticket],
    ['Workflow', workflow],
    ['Version in its store', provider_version],
    ['The approval ends in', !over(request.state) && until && <Countdown until={until} over="over" />],
    [
      'Id',
      <span key="id" title={request.id}>
        <code>{request.id.slice(0, 10)}…</code> <CopyButton text={request.id} what="the id of the request" />
      </span>,
    ],
  ]
  return (
    <dl className={classes.facts}>
      {facts
        .filter(([, fact]) => fact)
        .map(([name, fact]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{fact}</dd>
          </div>
        ))}
    </dl>
  )
}
