import { Group, List, Progress, Stack, Text } from '@mantine/core'
import type { Job } from '../../api/jobs'
import { Section } from '../../parts/Facts'
import classes from './JobProgress.module.css'
import { perSecond, remarks } from './jobWords'

/** What a job over a connection met so far, or in all. How much there is in all nobody knows before its end. */
export function JobProgress({ job }: { job: Job }) {
  const { progress, state, type } = job
  const running = state === 'running'
  if (!progress && !running) return null
  const numbers: [string, number | string][] = [
    ['Secrets', progress?.secrets ?? 0],
    ['Pages', progress?.pages ?? 0],
    ['Secrets a second', perSecond(progress?.per_second ?? 0)],
    ...(type === 'discover'
      ? ([
          ['New, or back', progress?.found ?? 0],
          ['Changed', progress?.changed ?? 0],
          ['Gone', running ? 'at the end' : (progress?.gone ?? 0)],
        ] satisfies [string, number | string][])
      : []),
  ]
  const said = progress ? remarks(type, progress) : []
  return (
    <Section title="Progress">
      <Stack gap="md">
        {running && (
          <Progress.Root size="sm">
            <Progress.Section value={100} animated striped aria-label="The job is running" aria-valuetext="running" />
          </Progress.Root>
        )}
        <dl className={classes.numbers} aria-live="off">
          {numbers.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{typeof value === 'number' ? value.toLocaleString('en') : value}</dd>
            </div>
          ))}
        </dl>
        {state === 'finished' &&
          progress &&
          type === 'discover' &&
          !progress.found &&
          !progress.changed &&
          !progress.gone && (
            <Group gap="xs">
              <Text c="dimmed">Nothing is new, changed or gone since the scan before.</Text>
            </Group>
          )}
        {said.length > 0 && (
          <List size="sm">
            {said.map((sentence) => (
              <List.Item key={sentence}>{sentence}</List.Item>
            ))}
          </List>
        )}
      </Stack>
    </Section>
  )
}
