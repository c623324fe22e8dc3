import { Anchor, SimpleGrid, Stack } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { useEditing, useField } from '../../parts/change/Editing'
import {
  ChoiceField,
  NameField,
  NamesField,
  NumberField,
  SecondsField,
  SwitchField,
  TextField,
} from '../../parts/change/fields'
import { ScopeField } from '../../parts/change/ScopeField'
import { namesOf, type Rule } from '../../parts/governance/objects'
import { paths } from '../../paths'
import { Card } from '../../ui/Card'

const effects = [
  { value: 'require', label: 'Needs approval' },
  { value: 'deny', label: 'Refuses' },
  { value: 'reveal', label: 'Reads at once' },
]

/** What a rule says, field by field. */
export function RuleForm() {
  const { governance } = useEditing()
  const effect = useField<Rule['effect']>(['effect']).value
  return (
    <Stack gap={16}>
      <Card title="What it does">
        <Stack gap={16}>
          <ChoiceField path={['effect']} label="Effect" choices={effects} />
          {effect === 'require' && (
            <NameField
              path={['workflow']}
              label="Workflow"
              description={
                <>
                  Who must agree. A workflow that is not there yet is made under{' '}
                  <Anchor component={Link} to={paths.workflows()} inherit underline="always">
                    Workflows
                  </Anchor>
                  .
                </>
              }
              required
              names={namesOf(governance, 'Workflow')}
            />
          )}
          {effect === 'reveal' && (
            <SecondsField
              path={['reveal_ttl_seconds']}
              label="The value can be opened for"
              description="10 seconds to 15 minutes."
            />
          )}
          <TextField path={['description']} label="Description" description="For people." long />
        </Stack>
      </Card>
      <Card title="When it fits">
        <Stack gap={16}>
          <ScopeField path={['scope']} />
          <NamesField
            path={['operations']}
            label="Operations"
            placeholder="All"
            names={['read', 'patch']}
            description="read is to see values, patch is to change them."
          />
          <TextField
            path={['when']}
            label="Condition"
            mono
            placeholder={'"oncall" in requester.groups && !requester.machine'}
            description="CEL that says true or false, about requester, operation, keys, secret and now. Left out: always."
          />
        </Stack>
      </Card>
      <Card title="How it stands to others">
        <Stack gap={16}>
          <SimpleGrid cols={{ base: 1, xs: 2 }} spacing={12}>
            <NumberField
              path={['priority']}
              label="Priority"
              placeholder="0"
              description="-1000 to 1000; the highest of those that fit counts."
              min={-1000}
              max={1000}
            />
          </SimpleGrid>
          <SwitchField path={['disabled']} label="Switched off" description="It does not count." />
        </Stack>
      </Card>
    </Stack>
  )
}
