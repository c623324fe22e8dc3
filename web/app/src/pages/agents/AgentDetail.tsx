import { Page } from '../../ui/Page'

export function AgentDetail() {
  return <Page title="AgentDetail">{null}</Page>
}
