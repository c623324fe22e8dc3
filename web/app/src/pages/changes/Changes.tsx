import { Anchor, Badge, Button, Code, Group, Progress, Stack, Tabs, Text } from '@mantine/core'
import { IconClockPause, IconHistory } from '@tabler/icons-react'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { type Amendment, amendmentsQuery, historyQuery, type Kind, type Version } from '../../api/governance'
import { usePeople } from '../../parts/governance/names'
import { kindWords, told } from '../../parts/governance/objects'
import { approversOf, join } from '../../parts/governance/words'
import { nameOf } from '../../parts/requestWords'
import { paths } from '../../paths'
import { one, useFilters } from '../../search'
import { useMe, whyNot } from '../../session/who'
import { Card } from '../../ui/Card'
import { CopyButton } from '../../ui/CopyButton'
import { type Column, DataTable } from '../../ui/DataTable'
import { Page } from '../../ui/Page'
import { Empty, Failed, Forbidden, Loading } from '../../ui/states'
import { Countdown, When } from '../../ui/When'
import { amendmentWords } from './amendmentWords'
import classes from './Changes.module.css'

const title = 'Changes'
const about = 'What waits for approval, and every version of the governance: who changed what, when and why.'

export function Changes() {
  const reason = whyNot(useMe(), 'governance.read', 'read changes of the governance')
  const [search, change] = useFilters()
  const tab = one(search, 'tab') || 'history'
  return (
    <Page title={title} about={about}>
      {reason ? (
        <Forbidden reason={reason} />
      ) : (
        <>
          <Waiting />
          <Tabs
            value={tab}
            onChange={(to) => change({ tab: to === 'history' ? '' : (to ?? '') })}
            keepMounted={false}
            className={classes.tabs}
          >
            <Tabs.List>
              <Tabs.Tab value="history">History</Tabs.Tab>
              <Tabs.Tab value="proposals">Proposals</Tabs.Tab>
              <Tabs.Tab value="files">As files</Tabs.Tab>
            </Tabs.List>
            <Tabs.Panel value="history" className={classes.panel}>
              <History />
            </Tabs.Panel>
            <Tabs.Panel value="proposals" className={classes.panel}>
              <Proposals />
            </Tabs.Panel>
            <Tabs.Panel value="files" pt={16}>
              <Files />
            </Tabs.Panel>
          </Tabs>
        </>
      )}
    </Page>
  )
}

/** What others could approve now; nothing at all if there is none. */
function Waiting() {
  const { nameOf: nameOfId } = usePeople()
  const { data } = useInfiniteQuery(amendmentsQuery(['open', 'stale']))
  const open = data?.pages.flatMap((page) => page.items) ?? []
  if (open.length === 0) return null
  return (
    <Card title="Waits for approval">
      <Stack gap={12}>
        {open.map((amendment) => {
          const given = amendment.words.filter((word) => word.decision === 'approved').length
          return (
            <Group key={amendment.id} justify="space-between" gap={12}>
              <div>
                <Group gap={8}>
                  <Anchor component={Link} to={paths.change(amendment.id)} fw={600}>
                    {titleOf(amendment)}
                  </Anchor>
                  <State state={amendment.state} />
                </Group>
                <Text size="md" c="dimmed">
                  proposed by {nameOf(amendment.by)} <When at={amendment.proposed_at} />; ends in{' '}
                  <Countdown until={amendment.until} />
                </Text>
              </div>
              <Stack gap={4} w={260}>
                <Text size="sm">
                  {given} of {amendment.approvals} from {approversOf(amendment.from, nameOfId)}
                </Text>
                <Progress
                  value={(given / amendment.approvals) * 100}
                  aria-label={`${given} of ${amendment.approvals} approvals`}
                />
              </Stack>
            </Group>
          )
        })}
      </Stack>
    </Card>
  )
}

export function State({ state }: { state: Amendment['state'] }) {
  const words = amendmentWords[state]
  return <Badge color={words.tone}>{words.label}</Badge>
}

/** titleOf is what an amendment is called: what was said of it, or how large it is. */
export const titleOf = (amendment: Amendment): string =>
  amendment.note?.split('\n')[0] ||
  (amendment.objects === 1 ? 'A change of one object' : `A change of ${amendment.objects} objects`)

const versionColumns: Column<Version>[] = [
  { id: 'version', title: 'Version', width: '72px', cell: (v) => v.version },
  { id: 'what', title: 'What', width: 'minmax(0, 3fr)', cell: whatOf },
  { id: 'note', title: 'Why', width: 'minmax(0, 2fr)', wide: true, cell: (v) => <Quiet text={v.note} /> },
  { id: 'who', title: 'Who', width: 'minmax(0, 1fr)', cell: (v) => v.name || 'Somebody who left' },
  { id: 'when', title: 'When', width: '110px', end: true, cell: (v) => <When at={v.at} /> },
]

function whatOf(v: Version) {
  const set = v.set.map((ref) => told(ref.kind, ref.name))
  const removed = v.removed.map((ref) => told(ref.kind, ref.name))
  const parts = [
    set.length > 0 ? `set ${few(set, v.left_out ?? 0)}` : '',
    removed.length > 0 ? `removed ${few(removed, 0)}` : '',
  ].filter(Boolean)
  const text = parts.join('; ')
  return (
    <span title={text}>
      {text.charAt(0).toUpperCase() + text.slice(1)}
      {v.amendment && (
        <Badge color="gray" ml={8}>
          approved
        </Badge>
      )}
    </span>
  )
}

function few(names: string[], more: number): string {
  const rest = names.length - 3 + more
  return rest > 0 ? `${names.slice(0, 3).join(', ')} and ${rest} more` : join(names)
}

const Quiet = ({ text }: { text: string | undefined }) => (
  <Text span c="dimmed" title={text}>
    {text}
  </Text>
)

function History() {
  const [search, change] = useFilters()
  const object = one(search, 'object')
  const query = useInfiniteQuery(historyQuery)
  const navigate = useNavigate()
  if (query.isError) return <Failed error={query.error} again={() => void query.refetch()} />
  if (!query.data) return <Loading />
  const all = query.data.pages.flatMap((page) => page.items)
  const [kind = '', name = ''] = object.split('/')
  const rows = object
    ? all.filter((v) => [...v.set, ...v.removed].some((o) => o.kind === kind && o.name === name))
    : all
  if (all.length === 0) {
    return (
      <Stack flex="1">
        <Empty icon={IconHistory} title="Nobody has changed anything yet">
          What counts is what the installation began with: whoever may ask may ask for anything, and one approver
          decides.
        </Empty>
      </Stack>
    )
  }
  return (
    <>
      {object && (
        <Group gap={8} mb={12}>
          <Text size="md">Only versions that changed {kind in kindWords ? told(kind as Kind, name) : object}</Text>
          <Button size="compact-sm" variant="default" onClick={() => change({ object: '' })}>
            Show all
          </Button>
        </Group>
      )}
      <DataTable
        label="Versions of the governance"
        columns={versionColumns}
        rows={rows}
        keyOf={(v) => String(v.version)}
        open={(v) => void navigate({ to: paths.change(String(v.version)) })}
        more={query.hasNextPage}
        loadMore={() => void query.fetchNextPage()}
        loadingMore={query.isFetchingNextPage}
      />
    </>
  )
}

const amendmentColumns: Column<Amendment>[] = [
  { id: 'what', title: 'Proposal', width: 'minmax(0, 3fr)', cell: (a) => titleOf(a) },
  { id: 'state', title: 'State', width: '130px', cell: (a) => <State state={a.state} /> },
  { id: 'who', title: 'Who', width: 'minmax(0, 1fr)', cell: (a) => nameOf(a.by) },
  { id: 'when', title: 'When', width: '110px', end: true, cell: (a) => <When at={a.proposed_at} /> },
]

function Proposals() {
  const query = useInfiniteQuery(amendmentsQuery([]))
  const navigate = useNavigate()
  if (query.isError) return <Failed error={query.error} again={() => void query.refetch()} />
  if (!query.data) return <Loading />
  const rows = query.data.pages.flatMap((page) => page.items)
  if (rows.length === 0) {
    return (
      <Stack flex="1">
        <Empty icon={IconClockPause} title="Nothing was ever proposed">
          Once the settings say which changes others must approve, such changes wait here first.
        </Empty>
      </Stack>
    )
  }
  return (
    <DataTable
      label="Proposals"
      columns={amendmentColumns}
      rows={rows}
      keyOf={(a) => a.id}
      open={(a) => void navigate({ to: paths.change(a.id) })}
      more={query.hasNextPage}
      loadMore={() => void query.fetchNextPage()}
      loadingMore={query.isFetchingNextPage}
    />
  )
}

const commands: { says: string; run: string }[] = [
  { says: 'Write what counts now, a file for each kind', run: 'sb export -o governance' },
  { says: 'Look for mistakes without a server', run: 'sb lint governance' },
  { says: 'See what the files would change', run: 'sb apply -f governance --dry-run' },
  { says: 'Try them on past requests', run: 'sb policy simulate -f governance' },
  { says: 'Make them count', run: 'sb apply -f governance --note "why"' },
]

function Files() {
  return (
    <Card title="Keep it in a repository">
      <Text size="md" mb={12}>
        All of it can live in files, be reviewed there and be applied by a pipeline. What is edited here and what is
        applied from files is one history.
      </Text>
      <Commands list={commands} />
    </Card>
  )
}

export function Commands({ list }: { list: typeof commands }) {
  return (
    <Stack gap={8}>
      {list.map(({ says, run }) => (
        <Group key={run} justify="space-between" gap={8}>
          <Text size="md">{says}</Text>
          <Group gap={4} wrap="nowrap">
            <Code>{run}</Code>
            <CopyButton text={run} what={`the command: ${says}`} />
          </Group>
        </Group>
      ))}
    </Stack>
  )
}
