import { lazily } from './lazily'
import type { ReasonProps } from './ReasonForm'

const ReasonForm = lazily(() => import('./ReasonForm'), 'ReasonForm')

/** Asks whether something should happen, and why. */
export function ReasonDialog(props: ReasonProps) {
  return props.opened ? <ReasonForm {...props} /> : null
}
