import { Page } from '../../ui/Page'

export function ApiReference() {
  return <Page title="ApiReference">{null}</Page>
}
