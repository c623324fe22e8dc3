import { Button, SegmentedControl, Stack, Text } from '@mantine/core'
import { IconHistory } from '@tabler/icons-react'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { type Change, governanceQuery, historyQuery, versionQuery } from '../../api/governance'
import { ChangeList } from '../../parts/change/ChangeList'
import { changeTo, diff } from '../../parts/change/diff'
import { ReviewDialog } from '../../parts/change/ReviewDialog'
import { usePeople } from '../../parts/governance/names'
import { paths } from '../../paths'
import { useMe, whyNot } from '../../session/who'
import { ActionButton } from '../../ui/ActionButton'
import { Card } from '../../ui/Card'
import { Page } from '../../ui/Page'
import { Empty, Failed, Loading } from '../../ui/states'
import { When } from '../../ui/When'
import { Commands } from './Changes'

/** What a version changed, how it differs from what counts now, and the way back to it. */
export function VersionView({ version }: { version: number }) {
  const me = useMe()
  const { nameOf } = usePeople()
  const [against, setAgainst] = useState<'before' | 'now'>('before')
  const [back, setBack] = useState<Change>()
  const then = useQuery(versionQuery(version))
  const before = useQuery({ ...versionQuery(version - 1), enabled: version > 0 })
  const now = useQuery(governanceQuery)
  const history = useInfiniteQuery(historyQuery)
  const said = history.data?.pages.flatMap((page) => page.items).find((v) => v.version === version)
  const title = `Version ${version}`
  const failed = [then, before, now].find((query) => query.isError)
  if (failed) {
    return (
      <Page title={title}>
        <Failed error={failed.error} again={() => void failed.refetch()} />
      </Page>
    )
  }
  if (!then.data || !now.data || (version > 0 && !before.data)) {
    return (
      <Page title={title}>
        <Loading />
      </Page>
    )
  }
  const newest = now.data.version === version
  const change = changeTo(now.data.objects, then.data.objects)
  const changes =
    against === 'before'
      ? diff(before.data?.objects ?? [], then.data.objects)
      : diff(then.data.objects, now.data.objects)
  return (
    <Page
      title={title}
      about={
        said && (
          <>
            by {said.name || 'somebody who left'}, <When at={said.at} />
            {said.note && ` · ${said.note}`}
          </>
        )
      }
      actions={
        <>
          <Button component={Link} to={paths.changes()} variant="default">
            All changes
          </Button>
          <ActionButton
            blocked={
              newest
                ? 'This is what counts now.'
                : change.set.length + change.removed.length === 0
                  ? 'What counts now says the same.'
                  : whyNot(me, 'governance.manage', 'change the governance')
            }
            leftSection={<IconHistory size={15} />}
            onClick={() => setBack(change)}
          >
            Bring it back
          </ActionButton>
        </>
      }
    >
      <Stack gap={16}>
        <SegmentedControl
          style={{ alignSelf: 'flex-start' }}
          aria-label="Compare with"
          value={against}
          onChange={(to) => setAgainst(to as 'before' | 'now')}
          data={[
            { value: 'before', label: 'What it changed' },
            { value: 'now', label: 'What changed since' },
          ]}
        />
        {changes.length === 0 ? (
          <Empty icon={IconHistory} title={newest ? 'This is what counts now' : 'Nothing is different'} />
        ) : (
          <ChangeList changes={changes} nameOf={nameOf} />
        )}
        <Card title="As files">
          <Text size="md" mb={12}>
            The same by the command line.
          </Text>
          <Commands
            list={[
              { says: 'Write this version', run: `sb export --version ${version} -o then` },
              { says: 'Bring it back', run: 'sb apply -f then --prune' },
            ]}
          />
        </Card>
      </Stack>
      <ReviewDialog
        opened={back !== undefined}
        close={() => setBack(undefined)}
        change={back ?? { set: [], removed: [] }}
        title={`Bring version ${version} back`}
        done={() => undefined}
      />
    </Page>
  )
}
