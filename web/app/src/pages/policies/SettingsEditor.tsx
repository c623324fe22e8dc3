import { Button, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { type Governance, permissionsQuery } from '../../api/governance'
import { ApproversField } from '../../parts/change/ApproversField'
import { draftOf } from '../../parts/change/draft'
import { useEditing, useField } from '../../parts/change/Editing'
import { Editor } from '../../parts/change/Editor'
import { NamesField, NumberField, SecondsField } from '../../parts/change/fields'
import { find, kindWords, type Settings } from '../../parts/governance/objects'
import { Card } from '../../ui/Card'

/** The one object of settings. Until somebody writes it, it says nothing. */
export default function SettingsEditor({ governance, leave }: { governance: Governance; leave: () => void }) {
  const thing = find(governance, 'Settings', 'installation')
  return (
    <Editor
      begin={draftOf(thing ?? { kind: 'Settings', name: 'installation', spec: {} })}
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
