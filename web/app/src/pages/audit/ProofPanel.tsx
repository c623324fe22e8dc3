import { Drawer, Tabs } from '@mantine/core'
import { Compare } from './Compare'
import { Holds } from './Holds'
import { SignedLog } from './SignedLog'

/** What proves the log, and what keeps it whole, beside the list. */
export function ProofPanel({ opened, close }: { opened: boolean; close: () => void }) {
  return (
    <Drawer
      opened={opened}
      onClose={close}
      position="right"
      size={560}
      title="Proof"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Tabs defaultValue="log" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="log">Signed log</Tabs.Tab>
          <Tabs.Tab value="compare">Comparison</Tabs.Tab>
          <Tabs.Tab value="holds">Legal holds</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="log" pt={16}>
          <SignedLog />
        </Tabs.Panel>
        <Tabs.Panel value="compare" pt={16}>
          <Compare />
        </Tabs.Panel>
        <Tabs.Panel value="holds" pt={16}>
          <Holds />
        </Tabs.Panel>
      </Tabs>
    </Drawer>
  )
}
