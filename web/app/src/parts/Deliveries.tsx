import { Anchor, Badge, Button, Group, Stack, Text } from '@mantine/core'
import type { InfiniteData, UseInfiniteQueryOptions } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { Key } from '../api/cache'
import { useListing } from '../api/listing'
import { paths } from '../paths'
import { Failed, Loading } from '../ui/states'
import { When } from '../ui/When'
import { codeWords, type Delivery, deliveryWords, toldWords } from './noticeWords'
import classes from './Rows.module.css'

interface Page {
  items: Delivery[]
  next?: string | undefined
}

interface Props<Query extends Key> {
  query: UseInfiniteQueryOptions<Page, Error, InfiniteData<Page>, Query, string>
  /** What is said when nothing was sent. */
  none: string
  /** What can be done with one. */
  action?: (delivery: Delivery) => ReactNode
}

/** What was sent, newest first, and what became of each message. */
export function Deliveries<Query extends Key>({ query, none, action }: Props<Query>) {
  const list = useListing(query)
  if (list.loading) return <Loading what="Loading what was sent" />
  if (list.error && list.rows.length === 0) return <Failed error={list.error} again={list.again} />
  if (list.rows.length === 0) return <Text c="dimmed">{none}</Text>
  return (
    <Stack gap="sm">
      <ul className={classes.list} aria-label="What was sent">
        {list.rows.map((delivery) => (
          <li key={delivery.id} className={classes.item}>
            <Stack gap={2} flex={1} miw={0}>
              <Group gap={8}>
                <Text>{toldWords(delivery.notice)}</Text>
                <Badge color={deliveryWords[delivery.state].tone}>{deliveryWords[delivery.state].label}</Badge>
                {delivery.request && (
                  <Anchor component={Link} to={paths.request(delivery.request)} size="sm">
                    The request
                  </Anchor>
                )}
              </Group>
              <Text size="sm" c="dimmed">
                <When at={delivery.at} />
                {delivery.attempts > 1 && `, ${delivery.attempts} attempts`}
                {delivery.state !== 'sent' && delivery.code && `. ${codeWords[delivery.code]}`}
                {delivery.state === 'waiting' && delivery.next_at && delivery.attempts > 0 && (
                  <>
                    . It is tried again <When at={delivery.next_at} />
                  </>
                )}
              </Text>
            </Stack>
            {action?.(delivery)}
          </li>
        ))}
      </ul>
      {list.more && (
        <Group>
          <Button size="xs" variant="default" loading={list.loadingMore} onClick={list.loadMore}>
            Show more
          </Button>
        </Group>
      )}
    </Stack>
  )
}
