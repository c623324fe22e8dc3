import { Page } from '../../ui/Page'

export function Changes() {
  return <Page title="Changes">{null}</Page>
}
