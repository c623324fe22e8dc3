import { Anchor, Group, Stack, Text } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import { jobsQuery } from '../../api/jobs'
import { useListing } from '../../api/listing'
import { Section } from '../../parts/Facts'
import { paths } from '../../paths'
import { useMe } from '../../session/who'
import { When } from '../../ui/When'
import { JobBadge } from '../jobs/JobBadge'
import { shortProgress, typeWords } from '../jobs/jobWords'

/** The newest jobs of a connection; nothing for who may not see jobs. */
export function LatestJobs({ connection }: { connection: string }) {
  return useMe().permissions.includes('job.list') ? <Latest connection={connection} /> : null
}

function Latest({ connection }: { connection: string }) {
  const { rows, loading } = useListing(jobsQuery({ connection }, 5))
  return (
    <Section title="Latest jobs">
      {!loading && rows.length === 0 && <Text c="dimmed">It was never scanned.</Text>}
      <Stack gap="xs">
        {rows.slice(0, 5).map((job) => (
          <Group key={job.id} gap="sm" wrap="nowrap">
            <JobBadge state={job.state} />
            <Text truncate flex={1}>
              <Anchor component={Link} to={paths.job(job.id)} inherit>
                {typeWords[job.type].label}
              </Anchor>{' '}
              <Text span size="sm" c="dimmed">
                {shortProgress(job)}
              </Text>
            </Text>
            <Text size="sm" c="dimmed">
              <When at={job.queued_at} />
            </Text>
          </Group>
        ))}
      </Stack>
    </Section>
  )
}
