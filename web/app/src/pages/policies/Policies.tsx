import { Page } from '../../ui/Page'

export function Policies() {
  return <Page title="Policies">{null}</Page>
}
