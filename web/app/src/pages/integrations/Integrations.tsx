import { Tabs } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconPlus } from '@tabler/icons-react'
import { one, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { lazily } from '../../ui/lazily'
import { Page } from '../../ui/Page'
import { Forbidden } from '../../ui/states'
import { Connected } from './Connected'
import { IntegrationList } from './IntegrationList'
import { Machines } from './Machines'

const CreateMachine = lazily(() => import('./CreateMachine'), 'CreateMachine')
const CreateIntegration = lazily(() => import('./CreateIntegration'), 'CreateIntegration')

const tabs = ['integrations', 'installation', 'machines'] as const

/** What is told and looked at outside, what this installation works with, and the machines that come in by tokens. */
export function Integrations() {
  const me = useMe()
  const [search, change] = useFilters()
  const [making, { open, close }] = useDisclosure()
  const unlisted = whyNot(me, 'integration.list', 'see integrations')
  const usual = unlisted ? 'installation' : 'integrations'
  const tab = tabs.find((known) => known === one(search, 'show')) ?? usual
  const unseen = whyNot(me, 'machine.manage', 'see machines')
  const machines = tab === 'machines'
  const make = (
    <ActionButton
      leftSection={<IconPlus size={16} />}
      blocked={
        machines
          ? whyNot(me, 'machine.manage', 'make machines')
          : whyNot(me, 'integration.manage', 'create integrations')
      }
      onClick={open}
    >
      {machines ? 'New machine' : 'New integration'}
    </ActionButton>
  )
  return (
    <Page
      title="Integrations"
      about="Who is told what happens here, what says whether a change is live, and what this installation works with."
      actions={tab === 'installation' ? undefined : make}
    >
      <Tabs
        value={tab}
        onChange={(to) => change({ show: to === usual ? undefined : (to ?? undefined) })}
        keepMounted={false}
      >
        <Tabs.List mb="lg">
          <Tabs.Tab value="integrations">Integrations</Tabs.Tab>
          <Tabs.Tab value="installation">This installation</Tabs.Tab>
          <Tabs.Tab value="machines">Machines</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="integrations">
          {unlisted ? <Forbidden reason={unlisted} /> : <IntegrationList create={make} />}
        </Tabs.Panel>
        <Tabs.Panel value="installation">
          <Connected />
        </Tabs.Panel>
        <Tabs.Panel value="machines">{unseen ? <Forbidden reason={unseen} /> : <Machines make={make} />}</Tabs.Panel>
      </Tabs>
      {making && (machines ? <CreateMachine close={close} /> : <CreateIntegration close={close} />)}
    </Page>
  )
}
