import { Stack, Text } from '@mantine/core'
import { IconAlertTriangle, IconEyeOff } from '@tabler/icons-react'
import type { Request } from '../../api/requests'
import { Note } from '../../ui/Note'
import { When } from '../../ui/When'
import classes from './Changes.module.css'
import { diff, total } from './diff'

/** What a request does, key by key. No value is here, nor how long one is. */
export function Changes({ request }: { request: Request }) {
  const rows = diff(request)
  const { patch } = request
  return (
    <Stack gap="sm">
      <Text size="sm" c="dimmed">
        {about(request, total(rows))}
        {patch?.comparison && !patch.effects_withheld && (
          <>
            {' '}
            Compared <When at={patch.comparison.at} />
            {patch.comparison.version && ` with version ${patch.comparison.version}`}.
          </>
        )}
      </Text>
      {patch?.effects_withheld && !patch.create && (
        <Note tone="gray" icon={IconEyeOff}>
          What it does to each key is shown to you after approval, so that nobody tests guesses with it.
        </Note>
      )}
      {patch?.comparison?.problem && (
        <Note tone="yellow" icon={IconAlertTriangle} title="It could not be compared">
          {patch.comparison.problem.detail}{' '}
          <Text span size="xs" c="dimmed">
            {patch.comparison.problem.code}
          </Text>
        </Note>
      )}
      {rows.length > 0 && (
        <ul className={classes.rows} aria-label="Keys">
          {rows.map((row) => (
            <li key={row.key} className={classes.row} data-tone={row.tone}>
              <span className={classes.sign} aria-hidden>
                {row.sign}
              </span>
              <span className={classes.key}>{row.key}</span>
              <span className={classes.says}>{row.says}</span>
            </li>
          ))}
        </ul>
      )}
    </Stack>
  )
}

function about(request: Request, counted: string): string {
  if (request.operation === 'read') {
    return request.keys.length === 0 ? 'All keys of the secret are read.' : 'Only these keys are read.'
  }
  const verb = request.patch?.create ? 'A new secret is made.' : 'Keys that are not named stay as they are.'
  if (counted) return `${counted.charAt(0).toUpperCase()}${counted.slice(1)}. ${verb}`
  if (request.fill && !request.fill.by) return `The values are still to come. ${verb}`
  return request.patch?.comparison ? verb : `An agent has yet to look at what this would do. ${verb}`
}
