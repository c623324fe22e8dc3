import { Button, Group, List, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { type Governance, permissionsQuery } from '../../api/governance'
import { ApproversField } from '../../parts/change/ApproversField'
import { draftOf, newDraft } from '../../parts/change/draft'
import { useEditing, useField } from '../../parts/change/Editing'
import { Editor } from '../../parts/change/Editor'
import { NamesField, NumberField, SecondsField } from '../../parts/change/fields'
import { Card } from '../../parts/governance/Card'
import { usePeople } from '../../parts/governance/names'
import { find, kindWords, type Settings } from '../../parts/governance/objects'
import { approversOf, join, people } from '../../parts/governance/words'
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

export function SettingsEditor({ governance, leave }: { governance: Governance; leave: () => void }) {
  const thing = find(governance, 'Settings', 'installation')
  return (
    <Editor
      begin={thing ? draftOf(thing) : newDraft('Settings', {}, 'installation')}
      governance={governance}
      back="Policies"
      leave={leave}
      form={<SettingsForm />}
      single
    />
  )
}

function SettingsForm() {
  const { act } = useEditing()
  const amendments = useField<Settings['amendments']>(['amendments'], false).value
  const { data } = useQuery(permissionsQuery)
  return (
    <Stack gap={16}>
      <Card
        title="Changes that others approve"
        actions={
          <Button
            size="xs"
            variant="default"
            onClick={() =>
              act({
                do: 'put',
                path: ['amendments'],
                value: amendments ? undefined : { kinds: ['Role', 'Rule', 'Workflow'], approvals: 1 },
              })
            }
          >
            {amendments ? 'Let nobody approve them' : 'Let others approve them'}
          </Button>
        }
      >
        <Stack gap={16}>
          {amendments ? (
            <>
              <NamesField
                path={['amendments', 'kinds']}
                label="Which kinds of objects"
                names={Object.keys(kindWords)}
              />
              <NumberField
                path={['amendments', 'approvals']}
                label="How many different people must agree"
                min={1}
                max={20}
              />
              <ApproversField path={['amendments', 'from']} label="Who may agree" placeless />
            </>
          ) : (
            <Text size="md" c="dimmed">
              Whoever may change the governance changes it alone.
            </Text>
          )}
        </Stack>
      </Card>
      <Card title="Second factor">
        <Stack gap={16}>
          <NamesField
            path={['step_up']}
            label="Permissions whose every use asks for it"
            names={(data?.permissions ?? []).map((p) => p.permission)}
          />
          <SecondsField
            path={['step_up_fresh_seconds']}
            label="Stays fresh for"
            description="1 minute to 1 hour; 5 minutes if it is left out."
          />
        </Stack>
      </Card>
    </Stack>
  )
}
