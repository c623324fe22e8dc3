import { Page } from '../../ui/Page'

export function ConnectionDetail() {
  return <Page title="ConnectionDetail">{null}</Page>
}
