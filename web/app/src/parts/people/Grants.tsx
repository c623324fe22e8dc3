import { Badge, Button, Group, Stack, Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { type PersonGrant, takeGrant } from '../../api/people'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'
import { ReasonDialog } from '../../ui/ReasonDialog'
import { When } from '../../ui/When'
import { Section } from '../Facts'
import { reach } from '../governance/words'
import classes from '../Rows.module.css'
import { type Holder, refreshHolders } from './holder'

const GiveDialog = lazily(() => import('./GiveDialog'), 'GiveDialog')

/** The roles that a person or a machine has, and where: given to them, or to a group that they are in. */
export function Grants({ person, none }: { person: Holder; none: string }) {
  const me = useMe()
  const cache = useQueryClient()
  const [giving, setGiving] = useState(false)
  const [taking, setTaking] = useState<PersonGrant>()
  const blocked =
    me.id === person.id
      ? 'Nobody changes their own roles. Ask another administrator.'
      : whyNot(me, 'grant.manage', 'give roles')
  return (
    <Section
      title="Roles"
      action={
        <ActionButton size="xs" variant="default" blocked={blocked} onClick={() => setGiving(true)}>
          Give a role
        </ActionButton>
      }
    >
      {person.grants.length === 0 && <Text c="dimmed">{none}</Text>}
      <ul className={classes.list} aria-label={`Roles of ${person.name}`}>
        {person.grants.map((grant) => (
          <li key={grant.id ?? JSON.stringify(grant)} className={classes.item}>
            <Stack gap={2} flex={1}>
              <Group gap={8}>
                <Badge>{grant.role}</Badge>
                <Text size="md">{reach(grant.scope)}</Text>
              </Group>
              {(grant.until || grant.reason || grant.group) && (
                <Text size="sm" c="dimmed">
                  {grant.group && `By the group ${grant.group}. `}
                  {grant.until && (
                    <>
                      Ends <When at={grant.until} />.{' '}
                    </>
                  )}
                  {grant.reason}
                </Text>
              )}
            </Stack>
            {grant.id && !blocked && (
              <Button
                size="xs"
                variant="default"
                onClick={() => setTaking(grant)}
                aria-label={`Take it: the role ${grant.role}`}
              >
                Take it
              </Button>
            )}
          </li>
        ))}
      </ul>
      {giving && <GiveDialog person={person} close={() => setGiving(false)} />}
      <ReasonDialog
        opened={taking !== undefined}
        close={() => setTaking(undefined)}
        title={`Take the role ${taking?.role ?? ''}`}
        about={`${person.name} loses it at once, also in what they do now.`}
        label="Reason, for the audit"
        confirm="Take it"
        danger
        act={async (reason) => {
          await takeGrant(person.id, taking?.id ?? '', reason)
          await refreshHolders(cache)
        }}
      />
    </Section>
  )
}
