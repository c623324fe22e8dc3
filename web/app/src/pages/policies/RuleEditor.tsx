import type { Governance, Thing } from '../../api/governance'
import { draftOf, newDraft } from '../../parts/change/draft'
import { Editor } from '../../parts/change/Editor'
import { PastRequests } from '../../parts/change/PastRequests'
import TryIt from '../../parts/change/TryIt'
import { blank, type Rule } from '../../parts/governance/objects'
import { sentenceOf } from '../../parts/governance/words'
import { RuleForm } from './RuleForm'

interface Props {
  /** Left out: a new one. */
  rule: Thing | undefined
  governance: Governance
  leave: () => void
}

export default function RuleEditor({ rule, governance, leave }: Props) {
  return (
    <Editor
      begin={rule ? draftOf(rule) : newDraft('Rule', blank.Rule)}
      governance={governance}
      back="All rules"
      leave={leave}
      form={<RuleForm />}
      says={(draft) => sentenceOf(draft.spec as Rule)}
      aside={(change) => (
        <>
          <PastRequests change={change} />
          <TryIt />
        </>
      )}
    />
  )
}
