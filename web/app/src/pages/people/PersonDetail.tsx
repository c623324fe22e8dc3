import { Page } from '../../ui/Page'

export function PersonDetail() {
  return <Page title="PersonDetail">{null}</Page>
}
