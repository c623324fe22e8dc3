import type { Request } from '../../../api/requests'
import { nameOf } from '../../../parts/requestWords'

/** meanwhile is what others did with a request that somebody was about to decide, if they did anything. */
export function meanwhile(request: Request, me: string): string {
  const other = request.votes.findLast((vote) => vote.approver.id !== me)
  switch (request.state) {
    case 'rejected':
      return other ? `${nameOf(other.approver)} denied it.` : ''
    case 'cancelled':
      return `${nameOf(request.requester)} took it back.`
    case 'expired':
      return 'Its time ran out.'
    case 'pending':
      return ''
    default:
      return other ? `${nameOf(other.approver)} approved it.` : ''
  }
}
