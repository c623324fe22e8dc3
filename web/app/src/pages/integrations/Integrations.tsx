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
import { Machines } from './Machines'

const CreateMachine = lazily(() => import('./CreateMachine'), 'CreateMachine')

/** What this installation is joined to, and the machines that come in by tokens. */
export function Integrations() {
  const me = useMe()
  const [search, change] = useFilters()
  const [making, { open, close }] = useDisclosure()
  const tab = one(search, 'show') === 'machines' ? 'machines' : 'connected'
  const unseen = whyNot(me, 'machine.manage', 'see machines')
  const make = (
    <ActionButton
      leftSection={<IconPlus size={16} />}
      blocked={whyNot(me, 'machine.manage', 'make machines')}
      onClick={open}
    >
      New machine
    </ActionButton>
  )
  return (
    <Page
      title="Integrations"
      about="What this installation works with: who vouches for people, what keeps its keys, and which programs come in."
      actions={make}
    >
      <Tabs
        value={tab}
        onChange={(to) => change({ show: to === 'machines' ? 'machines' : undefined })}
        keepMounted={false}
      >
        <Tabs.List mb="lg">
          <Tabs.Tab value="connected">This installation</Tabs.Tab>
          <Tabs.Tab value="machines">Machines</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="connected">
          <Connected />
        </Tabs.Panel>
        <Tabs.Panel value="machines">{unseen ? <Forbidden reason={unseen} /> : <Machines make={make} />}</Tabs.Panel>
      </Tabs>
      {making && <CreateMachine close={close} />}
    </Page>
  )
}
