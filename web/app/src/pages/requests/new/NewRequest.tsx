import { useQuery } from '@tanstack/react-query'
import { requestQuery } from '../../../api/requests'
import { secretQuery } from '../../../api/secrets'
import { one, useFilters } from '../../../search'
import { useMe, whyNot } from '../../../session/who'
import { lazily } from '../../../ui/lazily'
import { Page } from '../../../ui/Page'
import { Failed, Forbidden, Loading } from '../../../ui/states'
import { draftOf, repeat } from './draft'

const AskForm = lazily(
  () => import('./AskForm'),
  'AskForm',
  <Page title="New request">
    <Loading what="Loading the form" />
  </Page>,
)

/**
 * Asks for a secret. An address can start it: `?secret=CONNECTION/REF&operation=patch`, with the id of a
 * secret of the inventory instead, or `?from=` an earlier request.
 */
export function NewRequest() {
  const refused = whyNot(useMe(), 'request.create', 'ask for secrets')
  if (refused) {
    return (
      <Page title="New request">
        <Forbidden reason={refused} />
      </Page>
    )
  }
  return <Started />
}

function Started() {
  const [search] = useFilters()
  const from = one(search, 'from')
  const id = /^i_[0-9a-z]+$/.exec(one(search, 'secret'))?.[0] ?? ''
  const before = useQuery({ ...requestQuery(from), enabled: from !== '' })
  const secret = useQuery({ ...secretQuery(id), enabled: id !== '' })
  const failed = before.error ?? secret.error
  if (failed) {
    return (
      <Page title="New request">
        <Failed error={failed} />
      </Page>
    )
  }
  if ((from !== '' && !before.data) || (id !== '' && !secret.data)) return <Loading />
  const start = draftOf(search)
  if (secret.data) start.secret = secret.data.secret
  // What the address starts with is taken once: what is typed since is not lost to a change that comes live.
  return <AskForm key={`${from} ${one(search, 'secret')}`} start={before.data ? repeat(before.data) : start} />
}
