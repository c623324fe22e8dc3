import { Group, Kbd, Modal, SimpleGrid, Stack, Text, Title } from '@mantine/core'
import { Fragment } from 'react'
import classes from './KeySheet.module.css'
import { type Group as Keys, useKeyGroups } from './keys'
import { sections } from './sections'

const goTo: Keys = {
  title: 'Go to',
  shortcuts: sections
    .flatMap((group) => group.items)
    .flatMap((section) => (section.go ? [{ keys: [`g ${section.go}`], does: section.label }] : [])),
}

/** Names of keys that a person would not read off KeyboardEvent.key. */
const names: Record<string, string> = { ArrowDown: '↓', ArrowUp: '↑', Enter: '↵', Escape: 'Esc' }

/** All keys that do something on this page, and what. */
export function KeySheet({ close }: { close: () => void }) {
  const groups = useKeyGroups()
  return (
    <Modal opened onClose={close} title="Keys" size="lg">
      <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="xl">
        <Stack gap="xl">
          {groups
            .filter((group) => group.shortcuts.length > 0)
            .map((group) => (
              <Section key={group.title} group={group} />
            ))}
        </Stack>
        <Section group={goTo} />
      </SimpleGrid>
    </Modal>
  )
}

function Section({ group }: { group: Keys }) {
  return (
    <section aria-label={group.title}>
      <Title order={3} mb="xs">
        {group.title}
      </Title>
      <dl className={classes.list}>
        {group.shortcuts.map(({ keys, does }) => (
          <Fragment key={does}>
            <dt>
              <Text span>{does}</Text>
            </dt>
            <dd>
              <Group gap={6} wrap="nowrap">
                {keys.map((key, index) => (
                  <Fragment key={key}>
                    {index > 0 && (
                      <Text size="xs" c="dimmed" span>
                        or
                      </Text>
                    )}
                    <Stroke of={key} />
                  </Fragment>
                ))}
              </Group>
            </dd>
          </Fragment>
        ))}
      </dl>
    </section>
  )
}

/** One shortcut: `A` is shift and a, `g i` is one key after the other. */
function Stroke({ of }: { of: string }) {
  if (/^[A-Z]$/.test(of)) {
    return (
      <span className={classes.keys}>
        <Kbd>Shift</Kbd> <Kbd>{of}</Kbd>
      </span>
    )
  }
  return (
    <span className={classes.keys}>
      {of.split(' ').map((key) => (
        <Kbd key={key}>{names[key] ?? (key.length === 1 ? key.toUpperCase() : key)}</Kbd>
      ))}
    </span>
  )
}
