import { ActionIcon, Badge, Code, Drawer, Group, Stack, Tabs, Text, Tooltip } from '@mantine/core'
import { IconChevronDown, IconChevronUp } from '@tabler/icons-react'
import { FactSentence } from '../../parts/FactSentence'
import type { Names } from '../../parts/facts/fact'
import { type FactEvent, isDenied } from '../../parts/factWords'
import { CopyButton } from '../../ui/CopyButton'
import { When } from '../../ui/When'
import { Details } from './Details'
import classes from './EventPanel.module.css'
import { FactProof } from './FactProof'
import { Story } from './Story'

interface Props {
  event: FactEvent | undefined
  names: Names
  firsts: ReadonlyMap<string, FactEvent>
  show: (event: FactEvent | undefined) => void
  /** The rows above and below in the list. */
  newer: FactEvent | undefined
  older: FactEvent | undefined
}

/** Everything about one fact, beside the list. */
export function EventPanel({ event, names, firsts, show, newer, older }: Props) {
  return (
    <Drawer.Root opened={event !== undefined} onClose={() => show(undefined)} position="right" size={600}>
      <Drawer.Overlay backgroundOpacity={0.25} />
      <Drawer.Content>
        <Drawer.Header>
          <Drawer.Title>Fact {event?.seq.toLocaleString('en')}</Drawer.Title>
          <Group gap={4}>
            <Step label="Newer fact" to={newer} show={show} icon={<IconChevronUp size={17} />} />
            <Step label="Older fact" to={older} show={show} icon={<IconChevronDown size={17} />} />
            <Drawer.CloseButton aria-label="Close" />
          </Group>
        </Drawer.Header>
        <Drawer.Body>
          {event && (
            <Stack gap={16}>
              <div>
                <Text size="lg" component="p" className={classes.says}>
                  <FactSentence key={event.id} event={event} names={names} firsts={firsts} />
                </Text>
                <Group gap={8} mt={4}>
                  <When at={event.time} size="sm" c="dimmed" />
                  {isDenied(event) && <Badge color="red">Denied</Badge>}
                </Group>
              </div>
              <Tabs defaultValue="details" keepMounted={false}>
                <Tabs.List>
                  <Tabs.Tab value="details">Details</Tabs.Tab>
                  <Tabs.Tab value="story">Correlation tree</Tabs.Tab>
                  <Tabs.Tab value="raw">Raw JSON</Tabs.Tab>
                  <Tabs.Tab value="proof">Proof</Tabs.Tab>
                </Tabs.List>
                <Tabs.Panel value="details" pt={16}>
                  <Details key={event.id} event={event} names={names} firsts={firsts} />
                </Tabs.Panel>
                <Tabs.Panel value="story" pt={16}>
                  <Story event={event} names={names} show={show} />
                </Tabs.Panel>
                <Tabs.Panel value="raw" pt={16}>
                  <Raw event={event} />
                </Tabs.Panel>
                <Tabs.Panel value="proof" pt={16}>
                  <FactProof event={event} />
                </Tabs.Panel>
              </Tabs>
            </Stack>
          )}
        </Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  )
}

interface StepProps {
  label: string
  to: FactEvent | undefined
  show: (event: FactEvent) => void
  icon: React.ReactNode
}

function Step({ label, to, show, icon }: StepProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={label}
        aria-disabled={!to}
        data-disabled={!to || undefined}
        onClick={() => to && show(to)}
      >
        {icon}
      </ActionIcon>
    </Tooltip>
  )
}

function Raw({ event }: { event: FactEvent }) {
  const text = JSON.stringify(event, null, 2)
  return (
    <div className={classes.raw}>
      <div className={classes.copy}>
        <CopyButton text={text} what="the JSON" />
      </div>
      <Code block tabIndex={0} role="region" aria-label="The fact as JSON">
        {text}
      </Code>
    </div>
  )
}
