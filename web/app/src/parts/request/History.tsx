import { Anchor, Text, Tooltip } from '@mantine/core'
import { IconArrowUpRight, IconHistory } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { historyQuery, type Request } from '../../api/requests'
import { paths } from '../../paths'
import { leads } from '../../search'
import { useMe } from '../../session/who'
import { Failed, Loading } from '../../ui/states'
import { When } from '../../ui/When'
import classes from './History.module.css'
import { namesIn, tell } from './history'

/** What happened to a request, the newest last. */
export function History({ request }: { request: Request }) {
  const me = useMe()
  const history = useQuery(historyQuery(request.id))
  if (history.isPending) return <Loading what="Loading the history" />
  if (history.error) return <Failed error={history.error} again={() => void history.refetch()} />
  const names = namesIn(request, history.data)
  const audits = me.permissions.includes('audit.read')
  return (
    <ol className={classes.list} aria-label="History, the newest last">
      {history.data.map((event) => {
        const told = tell(event, request, names)
        return (
          <li key={told.id} className={classes.entry} data-tone={told.tone}>
            <div className={classes.line}>
              <Text>{told.says}</Text>
              <Text size="xs" c="dimmed" className={classes.when}>
                <When at={told.at} />
                <Tooltip label="How the request was then">
                  <Anchor
                    component={Link}
                    {...leads(paths.request(request.id, { as_of: String(event.seq) }))}
                    className={classes.audit}
                    aria-label={`How the request was then: ${told.says}`}
                  >
                    <IconHistory size={14} aria-hidden />
                  </Anchor>
                </Tooltip>
                {audits && (
                  <Tooltip label="All that this set in motion, in the audit">
                    <Anchor
                      component={Link}
                      to={paths.audit({ correlation: told.correlation })}
                      className={classes.audit}
                      aria-label={`Show in the audit: ${told.says}`}
                    >
                      <IconArrowUpRight size={14} aria-hidden />
                    </Anchor>
                  </Tooltip>
                )}
              </Text>
            </div>
            {told.comment && <blockquote className={classes.comment}>{told.comment}</blockquote>}
          </li>
        )
      })}
    </ol>
  )
}
