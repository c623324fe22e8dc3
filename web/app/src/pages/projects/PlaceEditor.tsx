import type { ReactNode } from 'react'
import type { Governance } from '../../api/governance'
import type { Draft } from '../../parts/change/draft'
import { Editor } from '../../parts/change/Editor'
import { PastRequests } from '../../parts/change/PastRequests'
import type { Binding } from '../../parts/governance/objects'
import { does } from '../../parts/governance/words'
import { BindingForm, GroupForm, ProjectForm, TeamForm } from './forms'

export type Edited = 'Project' | 'Binding' | 'Team' | 'Group'

const forms: Record<Edited, ReactNode> = {
  Project: <ProjectForm />,
  Binding: <BindingForm />,
  Team: <TeamForm />,
  Group: <GroupForm />,
}

interface Props {
  begin: Draft
  governance: Governance
  leave: () => void
}

/** The editor of what the page of projects and teams is about. */
export default function PlaceEditor({ begin, governance, leave }: Props) {
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
