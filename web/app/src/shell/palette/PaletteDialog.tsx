import '@mantine/spotlight/styles.css'
import { Kbd, Loader, Text, VisuallyHidden } from '@mantine/core'
import { createSpotlight, Spotlight } from '@mantine/spotlight'
import { IconSearch } from '@tabler/icons-react'
import { type KeyboardEvent, useEffect, useState } from 'react'
import { newKey } from '../../api/client'
import { queue, underWay } from '../../api/jobs'
import { codeOf, sentence } from '../../api/problem'
import { paths } from '../../paths'
import { notify } from '../../ui/notices'
import { Choices, elementOf, listId } from './Choices'
import { type Choice, type Group, matching } from './choices'
import { useCommands, useGoTo, useRecent, useSections } from './commands'
import { shortest, useFound } from './found'
import { type Mode, modes } from './modes'
import classes from './Palette.module.css'

const [store, palette] = createSpotlight()

/** Everything that can be gone to or done, by typing a part of its name. */
export function PaletteDialog({ asked }: { asked: number }) {
  const [text, setText] = useState('')
  const [mode, setMode] = useState<Mode>('any')
  // biome-ignore lint/correctness/useExhaustiveDependencies: each time that it is asked for, it opens
  useEffect(() => palette.open(), [asked])
  return (
    <Spotlight.Root
      store={store}
      shortcut={null}
      query={text}
      onQueryChange={setText}
      onSpotlightClose={() => setMode('any')}
      size={640}
      centered={false}
      yOffset={88}
      overlayProps={{ backgroundOpacity: 0.4 }}
      classNames={{ content: classes.content ?? '' }}
      attributes={{ content: { 'aria-label': 'Search and commands' } }}
    >
      <Body
        text={text}
        mode={mode}
        become={(next) => {
          setMode(next)
          setText('')
        }}
      />
    </Spotlight.Root>
  )
}

interface BodyProps {
  text: string
  mode: Mode
  become: (mode: Mode) => void
}

function Body({ text, mode, become }: BodyProps) {
  const { groups, busy } = useGroups(text, mode, become)
  const choices = groups.flatMap((group) => group.choices)
  const [chosen, setChosen] = useState('')
  const at = choices.find(({ id }) => id === chosen) ?? choices[0]
  // biome-ignore lint/correctness/useExhaustiveDependencies: another text is another list, from its top
  useEffect(() => setChosen(''), [text, mode])
  const take = (choice: Choice | undefined) => {
    if (!choice || choice.blocked) return
    choice.run()
    if (!choice.stays) palette.close()
  }
  const move = (step: number) => {
    const place = at ? choices.indexOf(at) : -1
    setChosen(choices[(place + step + choices.length) % choices.length]?.id ?? '')
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return
    if (event.key === 'ArrowDown') move(1)
    else if (event.key === 'ArrowUp') move(-1)
    else if (event.key === 'Enter') take(at)
    else if (event.key === 'Backspace' && text === '' && mode !== 'any') become('any')
  }
  return (
    <>
      <div className={classes.bar}>
        {modes[mode].label && <span className={classes.mode}>{modes[mode].label}</span>}
        <Spotlight.Search
          size="lg"
          aria-label={modes[mode].asks}
          placeholder={modes[mode].asks}
          maxLength={200}
          leftSection={mode === 'any' ? <IconSearch size={18} aria-hidden /> : undefined}
          rightSection={busy ? <Loader size="xs" aria-hidden /> : undefined}
          classNames={{ input: classes.search ?? '' }}
          role="combobox"
          aria-autocomplete="list"
          aria-expanded={choices.length > 0}
          aria-controls={choices.length > 0 ? listId : undefined}
          aria-activedescendant={at ? elementOf(at) : undefined}
          onKeyDown={onKeyDown}
        />
      </div>
      {choices.length > 0 ? (
        <Choices groups={groups} at={at} hover={(choice) => setChosen(choice.id)} take={take} />
      ) : (
        <Text c="dimmed" className={classes.none}>
          {nothing(text, mode, busy)}
        </Text>
      )}
      <VisuallyHidden role="status">
        {busy ? 'Searching' : `${choices.length} ${choices.length === 1 ? 'result' : 'results'}`}
      </VisuallyHidden>
      <div className={classes.foot} aria-hidden>
        <span>
          <Kbd size="xs">↑</Kbd> <Kbd size="xs">↓</Kbd> to choose
        </span>
        <span>
          <Kbd size="xs">Enter</Kbd> to take
        </span>
        <span>
          <Kbd size="xs">Esc</Kbd> to close
        </span>
      </div>
    </>
  )
}

function nothing(text: string, mode: Mode, busy: boolean): string {
  if (busy) return 'Searching…'
  if (mode === 'decide' && text === '') return 'Nothing waits for your decision.'
  if (mode === 'scan' && text === '') return 'There is no connection yet.'
  if ((mode === 'ask' || mode === 'change') && [...text.trim()].length < shortest) {
    return `Type at least ${shortest} characters of the secret’s path.`
  }
  return 'Nothing is called like that.'
}

const allowedFirst = (choices: Choice[]) => [
  ...choices.filter(({ blocked }) => !blocked),
  ...choices.filter(({ blocked }) => blocked),
]

/** useGroups are all lines for what was typed. */
function useGroups(text: string, mode: Mode, become: BodyProps['become']): { groups: Group[]; busy: boolean } {
  const go = useGoTo()
  const scan = async (connection: string) => {
    try {
      go(paths.job((await queue('discover', connection, newKey())).id))
    } catch (error) {
      const running =
        codeOf(error) === 'scan_running' ? await underWay('discover', connection).catch(() => undefined) : undefined
      if (running) go(paths.job(running.id))
      else notify({ color: 'red', title: 'The scan did not start', message: sentence(error) })
    }
  }
  const found = useFound(text, mode, (connection) => void scan(connection))
  const commands = useCommands(become)
  const pages = useSections()
  const recent = useRecent()
  if (mode !== 'any') return found
  const own = [
    { label: 'Recent', choices: text === '' ? recent : [] },
    { label: 'Do', choices: allowedFirst(matching(commands, text)) },
    { label: 'Go to', choices: matching(pages, text) },
  ].filter(({ choices }) => choices.length > 0)
  return { groups: [...own, ...found.groups], busy: found.busy }
}
