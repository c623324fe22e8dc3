import { useMe, whyNot } from '../../session/who'
import { lazily } from '../../ui/lazily'
import { Page } from '../../ui/Page'
import { Forbidden, Loading } from '../../ui/states'

const Explorer = lazily(
  () => import('./Explorer'),
  'Explorer',
  <Page title="Audit">
    <Loading what="Loading the audit" />
  </Page>,
)

/** The audit, for those who may read it. */
export function Audit() {
  const reason = whyNot(useMe(), 'audit.read', 'read the audit')
  if (!reason) return <Explorer />
  return (
    <Page title="Audit">
      <Forbidden reason={reason} />
    </Page>
  )
}
