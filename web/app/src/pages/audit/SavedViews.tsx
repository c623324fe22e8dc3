import { ActionIcon, Button, Group, Menu, Modal, Stack, Text, TextInput, Tooltip } from '@mantine/core'
import { IconBookmark, IconChevronDown, IconPlus, IconTrash } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { paths } from '../../paths'
import { parseSearch, type Search, stringifySearch } from '../../search'
import { useMe } from '../../session/who'
import { longestName, mostViews, type SavedView, storedViews, withView } from './savedViews'

/** Filters under a name, in this browser alone. */
export function SavedViews({ search }: { search: Search }) {
  const me = useMe().id
  const [views, setViews] = useState(() => storedViews.read(me))
  const [saving, setSaving] = useState(false)
  const [managing, setManaging] = useState(false)
  const navigate = useNavigate()
  const keep = (next: SavedView[]) => {
    storedViews.write(me, next)
    setViews(next)
  }
  return (
    <>
      <Menu position="bottom-end" width={260}>
        <Menu.Target>
          <Button
            variant="default"
            leftSection={<IconBookmark size={16} aria-hidden />}
            rightSection={<IconChevronDown size={14} aria-hidden />}
          >
            Saved views
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {views.length === 0 && <Menu.Label>No views are saved in this browser.</Menu.Label>}
          {views.map((view) => (
            <Menu.Item
              key={view.name}
              onClick={() => void navigate({ to: paths.audit(), search: parseSearch(view.query) as never })}
            >
              {view.name}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item leftSection={<IconPlus size={15} />} onClick={() => setSaving(true)}>
            Save this view…
          </Menu.Item>
          {views.length > 0 && (
            <Menu.Item leftSection={<IconTrash size={15} />} onClick={() => setManaging(true)}>
              Remove views…
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
      <SaveDialog
        opened={saving}
        close={() => setSaving(false)}
        views={views}
        save={(name) => keep(withView(views, { name, query: stringifySearch(search) }))}
      />
      <Modal opened={managing && views.length > 0} onClose={() => setManaging(false)} title="Saved views">
        <Stack gap={8}>
          {views.map((view) => (
            <Group key={view.name} justify="space-between" wrap="nowrap">
              <Text truncate>{view.name}</Text>
              <Tooltip label="Remove">
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  aria-label={`Remove the view ${view.name}`}
                  onClick={() => keep(views.filter(({ name }) => name !== view.name))}
                >
                  <IconTrash size={16} />
                </ActionIcon>
              </Tooltip>
            </Group>
          ))}
        </Stack>
      </Modal>
    </>
  )
}

interface SaveProps {
  opened: boolean
  close: () => void
  views: SavedView[]
  save: (name: string) => void
}

function SaveDialog({ opened, close, views, save }: SaveProps) {
  const [name, setName] = useState('')
  const trimmed = name.trim()
  const exists = views.some((view) => view.name === trimmed)
  const full = !exists && views.length >= mostViews
  const leave = () => {
    setName('')
    close()
  }
  return (
    <Modal opened={opened} onClose={leave} title="Save this view">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (!trimmed || full) return
          save(trimmed)
          leave()
        }}
      >
        <Stack>
          <TextInput
            label="Name"
            description="The filters are kept under it in this browser. A time such as “Last 7 days” moves along."
            maxLength={longestName}
            required
            withAsterisk={false}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            error={full ? `There are ${mostViews} views, and room for no more. Remove one first.` : undefined}
            data-autofocus
          />
          <Group justify="flex-end">
            <Button variant="default" onClick={leave}>
              Cancel
            </Button>
            <Button type="submit" disabled={!trimmed || full}>
              {exists ? 'Replace' : 'Save'}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
