import { Code, Stack, Text, Title, VisuallyHidden } from '@mantine/core'
import { IconCircleCheck, IconCircleX, IconClock, IconInfoCircle, type IconProps } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import type { ComponentType } from 'react'
import { answer, api } from '../../api/client'
import { sentence } from '../../api/problem'
import type { Request } from '../../api/requests'
import { useMe } from '../../session/who'
import { Loading } from '../../ui/states'
import classes from './Checks.module.css'
import { type Check, checks, clauses } from './checks'

const looks: Record<Check['mark'], { icon: ComponentType<IconProps>; says: string }> = {
  pass: { icon: IconCircleCheck, says: 'Passed' },
  wait: { icon: IconClock, says: 'Waits' },
  fail: { icon: IconCircleX, says: 'Not passed' },
  note: { icon: IconInfoCircle, says: 'For your information' },
}

/** What has to hold for a request, and whether it does. */
export function Checks({ request }: { request: Request }) {
  return (
    <Stack gap="lg">
      <List checks={checks(request)} label="Checks" />
      <Policy request={request} />
    </Stack>
  )
}

/** What the policy would say of the same request now: for its requester, and for who may look into others' rights. */
function Policy({ request }: { request: Request }) {
  const me = useMe()
  const mine = request.requester.id === me.id
  const may = mine
    ? me.permissions.includes('request.create')
    : me.permissions.includes('person.list') && me.permissions.includes('governance.read')
  const { operation, secret, keys, patch } = request
  const found = useQuery({
    queryKey: ['governance', 'explain', request.id],
    queryFn: () =>
      answer(
        api.POST('/policy/explain', {
          body: {
            secret,
            operation,
            keys: operation === 'read' ? keys : (patch?.changes.map((change) => change.key) ?? []),
            ...(patch?.create && { create: true }),
            ...(!mine && { person: request.requester.id }),
          },
        }),
      ),
    enabled: may,
  })
  if (!may) return null
  return (
    <section aria-labelledby="policy-now">
      <Title order={3} id="policy-now" mb={4}>
        What the policy says now
      </Title>
      <Text size="sm" c="dimmed" mb="sm">
        The request goes by what counted when it was asked for. This is how the same would be decided today.
      </Text>
      {found.isPending && <Loading what="Asking the policy" />}
      {found.error && <Text size="sm">{sentence(found.error)}</Text>}
      {found.data && <List checks={clauses(found.data)} label="Clauses of the policy" />}
    </section>
  )
}

function List({ checks, label }: { checks: Check[]; label: string }) {
  return (
    <ul className={classes.list} aria-label={label}>
      {checks.map((check) => {
        const look = looks[check.mark]
        return (
          <li key={check.id} className={classes.check} data-mark={check.mark}>
            <look.icon size={18} stroke={1.8} className={classes.icon} aria-hidden />
            <div>
              <Text>
                <VisuallyHidden>{look.says}: </VisuallyHidden>
                <strong>{check.title}</strong> {check.says}
              </Text>
              {check.cel && (
                <details className={classes.cel}>
                  <summary>Condition</summary>
                  <Code block>{check.cel}</Code>
                </details>
              )}
            </div>
          </li>
        )
      })}
    </ul>
  )
}
