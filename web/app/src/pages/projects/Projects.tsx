import { Page } from '../../ui/Page'

export function Projects() {
  return <Page title="Projects">{null}</Page>
}
