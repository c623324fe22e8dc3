import { Button, Group, Menu, Tabs, TextInput } from '@mantine/core'
import { IconChevronDown, IconSearch } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import type { Governance, Kind, Spec } from '../../api/governance'
import { draftOf, newDraft } from '../../parts/change/draft'
import { capital } from '../../parts/change/Editing'
import { Editor } from '../../parts/change/Editor'
import { PastRequests } from '../../parts/change/PastRequests'
import { Gone } from '../../parts/governance/Gone'
import { type Binding, blank, find, kindWords } from '../../parts/governance/objects'
import { WithGovernance } from '../../parts/governance/WithGovernance'
import { does } from '../../parts/governance/words'
import { one, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { Page } from '../../ui/Page'
import { BindingForm, GroupForm, ProjectForm, TeamForm } from './forms'
import { Groups } from './Groups'
import { ProjectList } from './ProjectList'
import { TeamTree } from './TeamTree'

const title = 'Projects & teams'
const about = 'What secrets serve, where they lie, and whose they are.'

type Edited = 'Project' | 'Binding' | 'Team' | 'Group'

const forms: Record<Edited, ReactNode> = {
  Project: <ProjectForm />,
  Binding: <BindingForm />,
  Team: <TeamForm />,
  Group: <GroupForm />,
}

const edited = (kind: string): kind is Edited => kind in forms

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
    return <Edit key={`${kind}/${name}`} begin={draftOf(thing)} governance={governance} leave={leave} />
  }
  if (edited(fresh)) {
    const spec: Spec = { ...blank[fresh] }
    if (fresh === 'Binding' && one(search, 'project')) {
      spec.project = one(search, 'project')
      if (one(search, 'environment')) spec.environment = one(search, 'environment')
    }
    return <Edit key={fresh} begin={newDraft(fresh, spec)} governance={governance} leave={leave} />
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

interface EditProps {
  begin: ReturnType<typeof draftOf>
  governance: Governance
  leave: () => void
}

function Edit({ begin, governance, leave }: EditProps) {
  const kind = begin.kind as Edited
  return (
    <Editor
      begin={begin}
      governance={governance}
      back="Projects & teams"
      leave={leave}
      form={forms[kind]}
      says={kind === 'Binding' ? (draft) => covers(draft.spec as Binding) : undefined}
      aside={kind === 'Binding' ? (draft) => <PastRequests change={draft} /> : undefined}
    />
  )
}

/** covers is a binding in a sentence. */
function covers(binding: Binding): string {
  const place = [binding.project, binding.environment].filter(Boolean).join(' / ') || 'Nothing yet'
  const what = binding.connection ? `${binding.connection}/${binding.prefix ?? ''}` : 'nothing yet'
  const keys = binding.keys && binding.keys.length > 0 ? `, of it the keys ${binding.keys.join(', ')}` : ''
  return `${place} covers ${what}${keys}. One may ask to ${does(binding.operations)} it.`
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
          {(Object.keys(forms) as Edited[]).map((kind) => (
            <Menu.Item key={kind} onClick={() => start(kind)}>
              {capital(kindWords[kind].one)}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
    </Group>
  )
}
