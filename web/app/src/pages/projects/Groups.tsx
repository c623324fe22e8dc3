import { Anchor, Stack, Text } from '@mantine/core'
import { IconUsers } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import type { Governance } from '../../api/governance'
import { usePeople } from '../../parts/governance/names'
import { ofKind } from '../../parts/governance/objects'
import { Some } from '../../parts/governance/Some'
import { join, where } from '../../parts/governance/words'
import { paths } from '../../paths'
import { Card } from '../../ui/Card'
import { Empty } from '../../ui/states'

/** Groups, who belongs to them, and what that gives. */
export function Groups({ governance, text }: { governance: Governance; text: string }) {
  const { nameOf } = usePeople()
  const groups = ofKind(governance, 'Group').filter((group) => group.name.includes(text.toLowerCase()))
  if (groups.length === 0) {
    return (
      <Empty icon={IconUsers} title={text ? 'No group has that name' : 'There is no group yet'}>
        A group is people, by hand or by the identity provider. Whoever is in it has what it grants, and steps of
        workflows can ask for it.
      </Empty>
    )
  }
  return (
    <Stack gap={12}>
      <Some of={groups}>
        {({ name, spec }) => (
          <Card
            key={name}
            title={
              <Anchor component={Link} to={paths.governed('Group', name)} inherit>
                {name}
              </Anchor>
            }
          >
            {spec.description && (
              <Text c="dimmed" mt={-8} mb={4}>
                {spec.description}
              </Text>
            )}
            <Text size="md">
              {(spec.members ?? []).length > 0 ? join((spec.members ?? []).map(nameOf)) : 'Nobody by hand'}
              {spec.claim && (
                <>
                  ; whoever the identity provider says is in <code>{spec.claim}</code>
                </>
              )}
              .
            </Text>
            {(spec.grants ?? []).map((grant) => (
              <Text key={JSON.stringify(grant)} size="md" c="dimmed">
                Gives the role {grant.role} for {where(grant.scope)}.
              </Text>
            ))}
          </Card>
        )}
      </Some>
    </Stack>
  )
}
