import { Page } from '../../ui/Page'

export function JobDetail() {
  return <Page title="JobDetail">{null}</Page>
}
