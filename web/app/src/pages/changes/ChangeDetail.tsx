import { Page } from '../../ui/Page'

export function ChangeDetail() {
  return <Page title="ChangeDetail">{null}</Page>
}
