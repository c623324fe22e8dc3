import { Page } from '../../ui/Page'

export function Integrations() {
  return <Page title="Integrations">{null}</Page>
}
