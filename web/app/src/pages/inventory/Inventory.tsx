import { Tabs } from '@mantine/core'
import { one, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { lazily } from '../../ui/lazily'
import { Page } from '../../ui/Page'
import { Forbidden, Loading } from '../../ui/states'
import { ScanButton } from '../jobs/ScanButton'
import { cleared } from './filters'

const SecretList = lazily(() => import('./SecretList'), 'SecretList', <Loading what="Loading secrets" />)
const StaleReport = lazily(() => import('./SecretReports'), 'StaleReport')
const UnownedReport = lazily(() => import('./SecretReports'), 'UnownedReport')
const OutsideReport = lazily(() => import('./OutsideReport'), 'OutsideReport')
const DuplicatesReport = lazily(() => import('./DuplicatesReport'), 'DuplicatesReport')
const OwnershipRules = lazily(() => import('./OwnershipRules'), 'OwnershipRules')

const views = {
  all: { label: 'All secrets', Panel: SecretList },
  stale: { label: 'Stale', Panel: StaleReport },
  unowned: { label: 'Unowned', Panel: UnownedReport },
  outside: { label: 'Changed outside', Panel: OutsideReport },
  same: { label: 'Same values', Panel: DuplicatesReport },
  rules: { label: 'Ownership rules', Panel: OwnershipRules },
} as const

type View = keyof typeof views

const isView = (text: string): text is View => text in views

/** What the stores hold, as far as agents see it, and what stands out in it. */
export function Inventory() {
  const me = useMe()
  const [search, change] = useFilters()
  const asked = one(search, 'view')
  const view: View = isView(asked) ? asked : 'all'
  const unseen = whyNot(me, 'secret.list', 'see the inventory')
  const { Panel } = views[view]
  return (
    <Page
      title="Inventory"
      about="What the stores hold, as agents see it: where each secret is, its labels, its age and whose it is. There is no column of values: no value ever gets here."
      actions={<ScanButton />}
    >
      {unseen ? (
        <Forbidden reason={unseen} />
      ) : (
        <>
          <Tabs
            value={view}
            onChange={(next) =>
              change({
                ...(view === 'same' || view === 'rules' ? cleared : {}),
                view: next === 'all' ? undefined : (next ?? undefined),
              })
            }
            keepMounted={false}
          >
            <Tabs.List aria-label="Views of the inventory">
              {Object.entries(views).map(([name, { label }]) => (
                <Tabs.Tab key={name} value={name}>
                  {label}
                </Tabs.Tab>
              ))}
            </Tabs.List>
          </Tabs>
          <Panel />
        </>
      )}
    </Page>
  )
}
