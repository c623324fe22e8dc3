import { Page } from '../../ui/Page'

export function Inventory() {
  return <Page title="Inventory">{null}</Page>
}
