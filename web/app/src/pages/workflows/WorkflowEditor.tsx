import type { Governance, Thing } from '../../api/governance'
import { draftOf, newDraft } from '../../parts/change/draft'
import { Editor } from '../../parts/change/Editor'
import { PastRequests } from '../../parts/change/PastRequests'
import { blank, ofKind } from '../../parts/governance/objects'
import { join } from '../../parts/governance/words'
import { WorkflowForm } from './WorkflowForm'

interface Props {
  /** Left out: a new one. */
  workflow: Thing | undefined
  governance: Governance
  leave: () => void
}

export default function WorkflowEditor({ workflow, governance, leave }: Props) {
  return (
    <Editor
      begin={workflow ? draftOf(workflow) : newDraft('Workflow', blank.Workflow)}
      governance={governance}
      back="All workflows"
      leave={leave}
      form={<WorkflowForm />}
      says={(draft) => usedBy(governance, draft.name)}
      aside={(change) => <PastRequests change={change} />}
    />
  )
}

function usedBy(governance: Governance, name: string): string {
  const rules = ofKind(governance, 'Rule')
    .filter((rule) => rule.spec.workflow === name)
    .map((rule) => rule.name)
  if (rules.length === 0) return 'No rule leads to it.'
  return `Requests come here by the ${rules.length === 1 ? 'rule' : 'rules'} ${join(rules)}.`
}
