import type { Secret } from '../../api/secrets'
import { type Me, whyNot } from '../../session/who'

/** whyNotAsk says why somebody cannot ask for a secret; undefined where they can. The policy decides when they do. */
export function whyNotAsk(me: Me, secret: Pick<Secret, 'status'>): string | undefined {
  if (secret.status === 'gone')
    return 'The last scan did not find this secret any more, so there is nothing to ask for.'
  return whyNot(me, 'request.create', 'ask for secrets')
}
