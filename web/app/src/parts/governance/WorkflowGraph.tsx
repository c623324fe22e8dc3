import { IconArrowBackUp, IconBell, IconFlag, IconSend, IconUsersPlus } from '@tabler/icons-react'
import { span } from '../../ui/time'
import { usePeople } from './names'
import type { Workflow } from './objects'
import classes from './WorkflowGraph.module.css'
import { approversOf, needed, nobody } from './words'

/** The way of a request through a workflow: submitted, each step with who must agree, then carried out. */
export function WorkflowGraph({ workflow, label }: { workflow: Workflow; label: string }) {
  const { nameOf } = usePeople()
  const steps = workflow.steps ?? []
  return (
    <ol className={classes.graph} aria-label={label}>
      <li className={classes.end}>
        <IconSend size={16} aria-hidden />
        <span>Submitted</span>
      </li>
      {steps.map((step, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: while one types, two steps may have the same id
        <li key={i} className={classes.step}>
          <span className={classes.number} aria-hidden>
            {i + 1}
          </span>
          <strong className={classes.id}>{step.id || 'no name yet'}</strong>
          <span>{needed(step.approvals ?? 0, step.from, nameOf)}</span>
          {step.remind_after_seconds ? (
            <span className={classes.quiet}>
              <IconBell size={14} aria-hidden /> reminded every {span(step.remind_after_seconds)}
            </span>
          ) : null}
          {step.escalate_after_seconds || !nobody(step.fallback) ? (
            <span className={classes.quiet}>
              <IconUsersPlus size={14} aria-hidden /> after {span(step.escalate_after_seconds ?? 0)} also{' '}
              {approversOf(step.fallback, nameOf)}
            </span>
          ) : null}
        </li>
      ))}
      <li className={classes.end}>
        <IconFlag size={16} aria-hidden />
        <span>Approved</span>
      </li>
      {!nobody(workflow.veto) && (
        <li className={classes.veto}>
          <IconArrowBackUp size={14} aria-hidden /> {approversOf(workflow.veto, nameOf)} may say no at any step
        </li>
      )}
    </ol>
  )
}
