import { Badge, Group, Stack, Text } from '@mantine/core'
import { Facts, Section } from '../../parts/Facts'
import { reach } from '../../parts/governance/words'
import type { Me } from '../../session/who'
import { When } from '../../ui/When'

/** Who somebody is, and what they may do where. */
export function You({ me }: { me: Me }) {
  return (
    <Section title="You">
      <Facts
        of={[
          ['Name', me.name],
          ['E-mail', me.email],
          ['Teams', me.teams.length > 0 && me.teams.join(', ')],
          ['Groups', me.groups.length > 0 && me.groups.join(', ')],
        ]}
      />
      <Stack gap={8}>
        <Text fw={500} size="md">
          Your roles
        </Text>
        {me.grants.length === 0 && (
          <Text c="dimmed">None yet. An administrator gives you what you need for your work.</Text>
        )}
        {me.grants.map((grant) => (
          <Group key={JSON.stringify(grant)} gap={8}>
            <Badge>{grant.role}</Badge>
            <Text size="md">
              {reach(grant.scope)}
              {grant.group && `, by the group ${grant.group}`}
              {grant.until && (
                <>
                  , until <When at={grant.until} />
                </>
              )}
            </Text>
          </Group>
        ))}
      </Stack>
    </Section>
  )
}
