import { Page } from '../../ui/Page'

export function RequestDetail() {
  return <Page title="RequestDetail">{null}</Page>
}
