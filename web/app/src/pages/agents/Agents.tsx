import { Page } from '../../ui/Page'

export function Agents() {
  return <Page title="Agents">{null}</Page>
}
