import { Button, Group, Menu, Tabs, TextInput } from '@mantine/core'
import { IconChevronDown, IconSearch } from '@tabler/icons-react'
import { lazy, Suspense } from 'react'
import type { Governance, Kind, Spec } from '../../api/governance'
import { draftOf, newDraft } from '../../parts/change/draft'
import { capital } from '../../parts/change/Editing'
import { Gone } from '../../parts/governance/Gone'
import { blank, find, kindWords } from '../../parts/governance/objects'
import { WithGovernance } from '../../parts/governance/WithGovernance'
import { one, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { Page } from '../../ui/Page'
import { Loading } from '../../ui/states'
import { Groups } from './Groups'
import type { Edited } from './PlaceEditor'
import { ProjectList } from './ProjectList'
import { TeamTree } from './TeamTree'

const PlaceEditor = lazy(() => import('./PlaceEditor'))

const title = 'Projects & teams'
const about = 'What secrets serve, where they lie, and whose they are.'

const kinds: Edited[] = ['Project', 'Binding', 'Team', 'Group']

const edited = (kind: string): kind is Edited => (kinds as string[]).includes(kind)

export function Projects() {
  return (
    <WithGovernance title={title} about={about} doing="read projects and teams">
      {(governance) => <Shown governance={governance} />}
    </WithGovernance>
  )
}

function Shown({ governance }: { governance: Governance }) {
  const [search, change] = useFilters()
  const [kind = '', name = ''] = one(search, 'edit').split('/')
  const fresh = one(search, 'new')
  const leave = () => change({ edit: '', new: '', project: '', environment: '' })
  if (edited(kind)) {
    const thing = find(governance, kind, name)
    if (!thing) return <Gone title={title} what={`a ${kindWords[kind].one} ${name}`} leave={leave} />
    return (
      <Suspense fallback={<Loading />}>
        <PlaceEditor key={`${kind}/${name}`} begin={draftOf(thing)} governance={governance} leave={leave} />
      </Suspense>
    )
  }
  if (edited(fresh)) {
    const spec: Spec = { ...blank[fresh] }
    if (fresh === 'Binding' && one(search, 'project')) {
      spec.project = one(search, 'project')
      if (one(search, 'environment')) spec.environment = one(search, 'environment')
    }
    return (
      <Suspense fallback={<Loading />}>
        <PlaceEditor key={fresh} begin={newDraft(fresh, spec)} governance={governance} leave={leave} />
      </Suspense>
    )
  }
  const tab = one(search, 'tab') || 'projects'
  return (
    <Page title={title} about={about} actions={<New start={(what) => change({ new: what })} />}>
      <Tabs value={tab} onChange={(to) => change({ tab: to === 'projects' ? '' : (to ?? '') })} keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="projects">Projects</Tabs.Tab>
          <Tabs.Tab value="teams">Teams</Tabs.Tab>
          <Tabs.Tab value="groups">Groups</Tabs.Tab>
        </Tabs.List>
        <TextInput
          mt={16}
          mb={20}
          maw={360}
          aria-label="Filter by name"
          placeholder="Filter by name…"
          leftSection={<IconSearch size={15} aria-hidden />}
          value={one(search, 'text')}
          onChange={(event) => change({ text: event.currentTarget.value }, { replace: true })}
        />
        <Tabs.Panel value="projects">
          <ProjectList governance={governance} text={one(search, 'text')} />
        </Tabs.Panel>
        <Tabs.Panel value="teams">
          <TeamTree governance={governance} text={one(search, 'text')} />
        </Tabs.Panel>
        <Tabs.Panel value="groups">
          <Groups governance={governance} text={one(search, 'text')} />
        </Tabs.Panel>
      </Tabs>
    </Page>
  )
}

function New({ start }: { start: (kind: Kind) => void }) {
  const blocked = whyNot(useMe(), 'governance.manage', 'change projects and teams')
  if (blocked) return <ActionButton blocked={blocked}>New</ActionButton>
  return (
    <Group gap={8}>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button rightSection={<IconChevronDown size={15} />}>New</Button>
        </Menu.Target>
        <Menu.Dropdown>
          {kinds.map((kind) => (
            <Menu.Item key={kind} onClick={() => start(kind)}>
              {capital(kindWords[kind].one)}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
    </Group>
  )
}
