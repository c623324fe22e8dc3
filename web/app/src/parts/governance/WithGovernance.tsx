import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { type Governance, governanceQuery } from '../../api/governance'
import { useMe, whyNot } from '../../session/who'
import { Page } from '../../ui/Page'
import { Failed, Forbidden, Loading } from '../../ui/states'

interface Props {
  title: string
  about: string
  /** What a page is for, after "You may not". */
  doing: string
  children: (governance: Governance) => ReactNode
}

/** What counts now, for pages that show it; or why it cannot be shown. */
export function WithGovernance({ title, about, doing, children }: Props) {
  const reason = whyNot(useMe(), 'governance.read', doing)
  const governance = useQuery({ ...governanceQuery, enabled: !reason })
  if (governance.data && !reason) return children(governance.data)
  return (
    <Page title={title} about={about}>
      {reason ? (
        <Forbidden reason={reason} />
      ) : governance.isError ? (
        <Failed error={governance.error} again={() => void governance.refetch()} />
      ) : (
        <Loading />
      )}
    </Page>
  )
}
