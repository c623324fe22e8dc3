import { Group, Text } from '@mantine/core'
import { IconHistory } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'
import { type Machine, machineQuery } from '../../api/machines'
import { Facts, Section } from '../../parts/Facts'
import { One } from '../../parts/One'
import { Grants } from '../../parts/people/Grants'
import { paths } from '../../paths'
import { leads } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { CopyButton } from '../../ui/CopyButton'
import { Page } from '../../ui/Page'
import { When } from '../../ui/When'
import { Keeping } from './Keeping'
import { MachineBadge } from './Machines'
import { lastUsed } from './machineWords'
import { Tokens } from './Tokens'

/** One machine: what it may do, the tokens that it comes in by, and the ways to keep it out. */
export function MachineDetail() {
  const { id } = useParams({ strict: false }) as { id: string }
  const unseen = whyNot(useMe(), 'machine.manage', 'see machines')
  const machine = useQuery({ ...machineQuery(id), enabled: !unseen })
  return (
    <One
      title="Machine"
      query={machine}
      unseen={unseen}
      missing={{ '': 'There is no such machine' }}
      back={{ to: paths.machines(), label: 'To the machines' }}
    >
      {(found) => <Shown machine={found} />}
    </One>
  )
}

function Shown({ machine }: { machine: Machine }) {
  const me = useMe()
  const navigate = useNavigate()
  const used = lastUsed(machine)
  return (
    <Page
      title={machine.name}
      about={machine.description || 'A machine, which comes in by tokens.'}
      wide={false}
      actions={
        <ActionButton
          variant="default"
          leftSection={<IconHistory size={15} />}
          blocked={whyNot(me, 'audit.read', 'read the audit')}
          onClick={() => void navigate(leads(paths.audit({ actor: `user:${machine.id}` })))}
        >
          In the audit
        </ActionButton>
      }
    >
      <Section title="What is known">
        <Facts
          of={[
            ['State', <MachineBadge key="state" machine={machine} />],
            ['Here since', <When key="since" at={machine.created_at} />],
            ['A token was last used', used ? <When key="used" at={used} /> : 'never'],
            [
              'Id',
              <Group key="id" gap={4}>
                <Text span size="sm" ff="monospace">
                  {machine.id}
                </Text>
                <CopyButton text={machine.id} what="the id" />
              </Group>,
            ],
          ]}
        />
      </Section>
      <Grants person={machine} none="None: whatever its tokens name, it may do nothing yet." />
      <Tokens machine={machine} />
      <Keeping machine={machine} />
    </Page>
  )
}
