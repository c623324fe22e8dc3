import { Text } from '@mantine/core'
import { IconLock } from '@tabler/icons-react'
import { useEffect, useRef } from 'react'
import type { Choice, Group } from './choices'
import classes from './Palette.module.css'

/** The id of the element of a choice: the input names the chosen one by it. */
export const elementOf = (choice: Choice) => `palette-${choice.id.replaceAll(/[^a-zA-Z0-9_-]/g, '-')}`

export const listId = 'palette-choices'

interface Props {
  groups: Group[]
  /** The one that Enter takes. */
  at: Choice | undefined
  hover: (choice: Choice) => void
  take: (choice: Choice) => void
}

/** The lines of the palette. The focus stays in the input, which says which one is chosen. */
export function Choices({ groups, at, hover, take }: Props) {
  const list = useRef<HTMLDivElement>(null)
  // biome-ignore lint/correctness/useExhaustiveDependencies: another choice is scrolled to
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' })
  }, [at?.id])
  return (
    <div ref={list} id={listId} role="listbox" aria-label="Results" className={classes.list}>
      {groups.map(({ label, choices }) => (
        <div key={label} role="group" aria-label={label} className={classes.group}>
          <Text size="xs" fw={500} c="dimmed" className={classes.label} aria-hidden>
            {label}
          </Text>
          {choices.map((choice) => (
            <Line key={choice.id} choice={choice} selected={choice.id === at?.id} hover={hover} take={take} />
          ))}
        </div>
      ))}
    </div>
  )
}

interface LineProps {
  choice: Choice
  selected: boolean
  hover: Props['hover']
  take: Props['take']
}

function Line({ choice, selected, hover, take }: LineProps) {
  const Icon = choice.icon
  return (
    <div
      id={elementOf(choice)}
      role="option"
      aria-selected={selected}
      aria-disabled={choice.blocked ? true : undefined}
      className={classes.line}
      onMouseMove={() => selected || hover(choice)}
      onMouseDown={(event) => event.preventDefault()} // the focus stays in the input
      onClick={() => take(choice)}
    >
      <Icon size={17} stroke={1.7} aria-hidden className={classes.icon} />
      <span className={classes.words}>
        <span className={classes.name}>{choice.label}</span>
        {(choice.blocked ?? choice.description) && (
          <span className={classes.about}>{choice.blocked ?? choice.description}</span>
        )}
      </span>
      {choice.blocked && <IconLock size={15} aria-hidden className={classes.icon} />}
    </div>
  )
}
