import { Page } from '../../../ui/Page'

export function NewRequest() {
  return <Page title="NewRequest">{null}</Page>
}
