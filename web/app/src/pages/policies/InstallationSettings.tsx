import { Button, Group, List, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { type Governance, permissionsQuery } from '../../api/governance'
import { usePeople } from '../../parts/governance/names'
import { find, kindWords, type Settings } from '../../parts/governance/objects'
import { approversOf, join, people } from '../../parts/governance/words'
import { Card } from '../../ui/Card'
import { span } from '../../ui/time'

/** What the settings say unless they say something else (policy/settings.go). */
const freshSeconds = 300

/** The settings of the installation: who approves changes of the governance, and where a second factor is asked for. */
export function InstallationSettings({ governance, edit }: { governance: Governance; edit: () => void }) {
  const { nameOf } = usePeople()
  const settings = (find(governance, 'Settings', 'installation')?.spec ?? {}) as Settings
  const { data } = useQuery(permissionsQuery)
  const sentences = new Map((data?.permissions ?? []).map((p) => [p.permission as string, p.sentence]))
  const kinds = settings.amendments?.kinds ?? []
  return (
    <Stack gap={16} maw={720}>
      <Card title="Changes that others approve">
        <Text size="md">
          {settings.amendments
            ? `A change of ${join(kinds.map((kind) => kindWords[kind].many))} counts once ${people(settings.amendments.approvals ?? 1)} of ${approversOf(settings.amendments.from, nameOf)} agreed. So does a change of these settings.`
            : 'None: whoever may change the governance changes it alone.'}
        </Text>
      </Card>
      <Card title="Second factor">
        {(settings.step_up ?? []).length === 0 ? (
          <Text size="md">No permission asks for a second factor by itself; workflows may.</Text>
        ) : (
          <>
            <Text size="md">Asked for whenever somebody wants to:</Text>
            <List size="md" mt={4}>
              {(settings.step_up ?? []).map((p) => (
                <List.Item key={p}>{sentences.get(p) ?? p}</List.Item>
              ))}
            </List>
          </>
        )}
        <Text size="md" c="dimmed" mt={8}>
          Once shown, it stays fresh for {span(settings.step_up_fresh_seconds ?? freshSeconds)}.
        </Text>
      </Card>
      <Group>
        <Button variant="default" onClick={edit}>
          Edit settings
        </Button>
      </Group>
    </Stack>
  )
}
