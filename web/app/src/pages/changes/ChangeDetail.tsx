import { useParams } from '@tanstack/react-router'
import { useMe, whyNot } from '../../session/who'
import { lazily } from '../../ui/lazily'
import { Page } from '../../ui/Page'
import { Forbidden } from '../../ui/states'

const Proposal = lazily(() => import('./Proposal'), 'Proposal')

const VersionView = lazily(() => import('./VersionView'), 'VersionView')

/** One version of the governance, or one proposal, by the address. */
export function ChangeDetail() {
  const { id } = useParams({ strict: false })
  const reason = whyNot(useMe(), 'governance.read', 'read changes of the governance')
  if (reason || !id) {
    return (
      <Page title="Change">
        <Forbidden reason={reason ?? 'It has no number.'} />
      </Page>
    )
  }
  return /^\d+$/.test(id) ? <VersionView key={id} version={Number(id)} /> : <Proposal key={id} id={id} />
}
