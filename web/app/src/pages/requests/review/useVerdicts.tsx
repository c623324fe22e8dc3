import { useQueryClient } from '@tanstack/react-query'
import { newKey } from '../../../api/client'
import type { Verdict } from '../../../api/outbox'
import type { Request } from '../../../api/requests'
import { notify } from '../../../ui/notices'
import { VerdictToast } from './VerdictToast'
import { say } from './verdicts'

type Says = Verdict['says']

/** useVerdicts is how one gives a verdict: on one request, or the same on several. */
export function useVerdicts(): (requests: readonly Request[], says: Says, comment?: string) => void {
  const cache = useQueryClient()
  return (requests, says, comment) => {
    const proof = requests.some((request) => request.actions[says].step_up)
    const verdicts = requests.map((request): Verdict => {
      return {
        key: newKey(),
        request: request.id,
        says,
        comment: comment || undefined,
        comparison: says === 'approve' ? request.patch?.comparison?.number : undefined,
      }
    })
    const id = say(verdicts, proof, cache)
    const about = requests.length === 1 ? requests[0] : undefined
    notify({
      id,
      position: window.matchMedia('(max-width: 48em)').matches ? 'top-center' : 'bottom-right', // off the buttons
      withBorder: true,
      withCloseButton: false,
      autoClose: false,
      message: <VerdictToast id={id} says={says} request={about} count={requests.length} />,
    })
  }
}
