import { Anchor, Group, Stack, Title } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useAbout } from '../../parts/FactSentence'
import type { Names } from '../../parts/facts/fact'
import { aggregateOf, type FactEvent, idOf, labelOf } from '../../parts/factWords'
import { SecretName } from '../../parts/SecretName'
import { paths } from '../../paths'
import { leads } from '../../search'
import { CopyButton } from '../../ui/CopyButton'
import { exact } from '../../ui/time'
import classes from './EventPanel.module.css'

interface Props {
  event: FactEvent
  names: Names
}

interface DetailsProps extends Props {
  firsts: ReadonlyMap<string, FactEvent>
}

/** A fact's circumstances, and all of its fields, in words. */
export function Details({ event, names, firsts }: DetailsProps) {
  const about = useAbout(event, firsts)
  const secret = about.request?.secret ?? about.secret
  const fields = Object.entries(event.data)
  const plain = fields.filter(([, value]) => !technical(value))
  return (
    <Stack gap={20}>
      <dl className={classes.fields}>
        <Field name="Kind">{labelOf(event.type)}</Field>
        <Field name="When">{exact(event.time)}</Field>
        <Field name="Who">
          <Actor event={event} names={names} />
        </Field>
        <Field name="About">
          <Stream event={event} names={names} />
        </Field>
        {secret && (
          <Field name="Secret">
            <Group gap="2px 12px">
              <SecretName secret={secret} />
              <Anchor component={Link} {...leads(paths.audit({ secret }))} size="sm">
                All that concerns it
              </Anchor>
            </Group>
          </Field>
        )}
        <Field name="What followed">
          <Anchor component={Link} {...leads(paths.audit({ correlation: event.correlation }))}>
            All that followed from the same intention
          </Anchor>
        </Field>
      </dl>
      {plain.length > 0 && (
        <div>
          <Title order={3} mb={8}>
            What the fact says
          </Title>
          <dl className={classes.fields}>
            {plain.map(([name, value]) => (
              <Field key={name} name={inWords(name)}>
                <Value name={name} value={value} names={names} />
              </Field>
            ))}
          </dl>
        </div>
      )}
      <details>
        <summary className={classes.summary}>For engineers</summary>
        <dl className={classes.fields}>
          <Field name="Position">
            {event.seq.toLocaleString('en')}
            {event.index > 0 && `, part ${event.index + 1}`}
          </Field>
          <Field name="Intention">
            <Id id={event.correlation} what="the intention" />
          </Field>
          <Field name="Command">
            <Id id={event.command} what="the command" />
          </Field>
          {fields
            .filter(([, value]) => technical(value))
            .map(([name, value]) => (
              <Field key={name} name={inWords(name)}>
                {typeof value === 'string' ? (
                  <Id id={value} what={`the field ${name}`} />
                ) : (
                  <Value name={name} value={value} names={names} />
                )}
              </Field>
            ))}
        </dl>
      </details>
    </Stack>
  )
}

/** technical reports an id that leads nowhere, or what has parts: no sentence for a person. */
function technical(value: unknown): boolean {
  if (typeof value === 'string') return /^([a-z]_)?[0-9a-z]{26}$/.test(value) && !/^[uari]_/.test(value)
  if (Array.isArray(value)) return value.some((item) => typeof item !== 'string')
  return typeof value === 'object' && value !== null
}

function Field({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  )
}

function Id({ id, what }: { id: string; what: string }) {
  return (
    <Group gap={4} wrap="nowrap">
      <span className={classes.id}>{id}</span>
      <CopyButton text={id} what={what} />
    </Group>
  )
}

function Actor({ event, names }: Props) {
  const name = names.actor(event.actor, event.actor_name)
  const id = event.actor.slice(event.actor.indexOf(':') + 1)
  const to = event.actor.startsWith('user:')
    ? paths.person(id)
    : event.actor.startsWith('agent:')
      ? paths.agent(id)
      : ''
  return (
    <Group gap="2px 12px">
      {to ? (
        <Anchor component={Link} to={to}>
          {name}
        </Anchor>
      ) : (
        name
      )}
      <Anchor component={Link} {...leads(paths.audit({ actor: event.actor }))} size="sm">
        All they did
      </Anchor>
    </Group>
  )
}

/** What a stream is called, and where it is shown. */
const streams: Record<string, { what: string; to?: (id: string) => string }> = {
  request: { what: 'The request', to: paths.request },
  job: { what: 'The job', to: paths.job },
  agent: { what: 'The agent', to: paths.agent },
  connection: { what: 'The connection', to: paths.connection },
  secret: { what: 'The secret', to: paths.secret },
  user: { what: 'The person or machine', to: paths.person },
  inventory: { what: 'What scans found' },
  governance: { what: 'The governance', to: paths.changes },
  access: { what: 'Sign-ins and denials' },
  setting: { what: 'Keys and settings' },
}

function Stream({ event, names }: Props) {
  const id = idOf(event)
  const of = aggregateOf(event)
  const { what, to } = streams[of] ?? { what: of }
  const name = { user: names.person(id), agent: names.agent(id), connection: id }[of]
  const words = name ? `${what} ${name}` : what
  return (
    <Group gap="2px 12px">
      {to ? (
        <Anchor component={Link} to={to(id)}>
          {words}
        </Anchor>
      ) : (
        words
      )}
      <Anchor component={Link} {...leads(paths.audit({ stream: event.stream }))} size="sm">
        Its whole history
      </Anchor>
    </Group>
  )
}

/** inWords is "Pending until" of pending_until. */
const inWords = (field: string) => field.charAt(0).toUpperCase() + field.slice(1).replaceAll('_', ' ')

const time = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/

function Value({ name, value, names }: { name: string; value: unknown; names: Names }): ReactNode {
  if (typeof value === 'boolean') return value ? 'Yes' : 'No'
  if (typeof value === 'number') return value.toLocaleString('en')
  if (typeof value === 'string') {
    if (time.test(value)) return exact(value)
    if (/^u_[0-9a-z]{26}$/.test(value)) return linked(paths.person(value), names.person(value))
    if (/^a_[0-9a-z]{26}$/.test(value)) return linked(paths.agent(value), names.agent(value))
    if (/^r_[0-9a-z]{26}$/.test(value)) return linked(paths.request(value), value)
    if (/^i_[0-9a-z]{26}$/.test(value)) return linked(paths.secret(value), value)
    if (name === 'connection') return linked(paths.connection(value), value)
    return value === '' ? 'Nothing' : value
  }
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) {
    return value.length > 0 ? value.join(', ') : 'Nothing'
  }
  return <span className={classes.id}>{JSON.stringify(value)}</span>
}

const linked = (to: string, words: string) => (
  <Anchor component={Link} to={to}>
    {words}
  </Anchor>
)
