import { Page } from '../../ui/Page'

export function Connections() {
  return <Page title="Connections">{null}</Page>
}
