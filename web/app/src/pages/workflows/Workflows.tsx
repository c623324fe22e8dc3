import { Page } from '../../ui/Page'

export function Workflows() {
  return <Page title="Workflows">{null}</Page>
}
