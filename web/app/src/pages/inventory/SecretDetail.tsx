import { Page } from '../../ui/Page'

export function SecretDetail() {
  return <Page title="SecretDetail">{null}</Page>
}
