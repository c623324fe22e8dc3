// The fields that forms of the governance are made of. Each writes to one path of the draft and shows what
// the server says is wrong there.
import {
  Group,
  Input,
  MultiSelect,
  NativeSelect,
  NumberInput,
  SegmentedControl,
  Select,
  Switch,
  TagsInput,
  Textarea,
  TextInput,
} from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { type ReactNode, useState } from 'react'
import { usePeople } from '../governance/names'
import { useField } from './Editing'
import classes from './fields.module.css'
import type { Path } from './put'

interface Props {
  path: Path
  label: string
  description?: ReactNode
  placeholder?: string
  required?: boolean
}

export function TextField({ path, long, mono, ...props }: Props & { long?: boolean; mono?: boolean }) {
  const { value, set, error } = useField<string>(path)
  const shared = {
    ...props,
    value: value ?? '',
    error,
    classNames: mono ? { input: classes.mono as string } : undefined,
    spellCheck: !mono,
    withAsterisk: props.required,
    required: false,
  }
  if (long || mono) {
    return (
      <Textarea {...shared} autosize minRows={1} maxRows={12} onChange={(event) => set(event.currentTarget.value)} />
    )
  }
  return <TextInput {...shared} onChange={(event) => set(event.currentTarget.value)} />
}

export function NumberField({ path, min, max, ...props }: Props & { min?: number; max?: number }) {
  const { value, set, error } = useField<number>(path)
  return (
    <NumberInput
      {...props}
      value={value ?? ''}
      min={min}
      max={max}
      allowDecimal={false}
      error={error}
      onChange={(next) => set(typeof next === 'number' ? next : undefined)}
    />
  )
}

export function SwitchField({ path, ...props }: Props) {
  const { value, set, error } = useField<boolean>(path)
  return (
    <Switch {...props} checked={value ?? false} error={error} onChange={(event) => set(event.currentTarget.checked)} />
  )
}

const units: [string, number][] = [
  ['days', 86_400],
  ['hours', 3_600],
  ['minutes', 60],
  ['seconds', 1],
]

/** unitOf is the largest unit that a time is a whole number of. */
const unitOf = (seconds: number): number => units.find(([, n]) => seconds % n === 0)?.[1] ?? 1

/** A time, in whatever unit reads best. */
export function SecondsField({ path, label, ...props }: Props) {
  const { value, set, error } = useField<number>(path)
  const [chosen, choose] = useState<number>()
  const unit = chosen && (value ?? 0) % chosen === 0 ? chosen : value ? unitOf(value) : (chosen ?? 60)
  return (
    <Group gap={8} align="flex-end" wrap="nowrap" className={classes.seconds}>
      <NumberInput
        {...props}
        label={label}
        value={value ? value / unit : ''}
        min={0}
        allowDecimal={false}
        error={error}
        flex={1}
        onChange={(next) => set(typeof next === 'number' ? next * unit : undefined)}
      />
      <NativeSelect
        aria-label={`Unit of: ${label}`}
        w={104}
        value={String(unit)}
        data={units.map(([name, n]) => ({ label: name, value: String(n) }))}
        onChange={(event) => {
          const next = Number(event.currentTarget.value)
          choose(next)
          if (value) set((value / unit) * next)
        }}
      />
    </Group>
  )
}

/** One of the names that there are; also one that is gone, so that it can be seen and mended. */
export function NameField({ path, names, ...props }: Props & { names: string[] }) {
  const { value, set, error } = useField<string>(path)
  return (
    <Select
      {...props}
      required={false}
      withAsterisk={props.required}
      searchable
      clearable
      data={[...new Set([...names, ...(value ? [value] : [])])]}
      value={value ?? null}
      error={error}
      nothingFoundMessage="There is none of that name"
      clearButtonProps={{ 'aria-label': `Clear: ${props.label}` }}
      onChange={(next) => set(next ?? undefined)}
    />
  )
}

export function NamesField({ path, names, ...props }: Props & { names: string[] }) {
  const { value, set, error } = useField<string[]>(path)
  return (
    <MultiSelect
      {...props}
      searchable
      data={[...new Set([...names, ...(value ?? [])])]}
      value={value ?? []}
      error={error}
      limit={100}
      nothingFoundMessage="There is none of that name"
      onChange={set}
    />
  )
}

/** Texts that are anything, each by Enter. */
export function TextsField({ path, ...props }: Props) {
  const { value, set, error } = useField<string[]>(path)
  return <TagsInput {...props} value={value ?? []} error={error} onChange={set} />
}

/** People by their names. Who may not list people writes ids. */
export function PeopleField({ path, ...props }: Props) {
  const { value, set, error } = useField<string[]>(path)
  const { all, nameOf } = usePeople()
  if (all.length === 0) {
    return <TextsField path={path} {...props} description="By their ids, u_…: you may not list people" />
  }
  const known = new Set(all.map((person) => person.id))
  const data = [
    ...all.map((person) => ({ value: person.id, label: person.name || person.id })),
    ...(value ?? []).filter((id) => !known.has(id)).map((id) => ({ value: id, label: nameOf(id) })),
  ]
  return (
    <MultiSelect
      {...props}
      searchable
      data={data}
      value={value ?? []}
      error={error}
      limit={50}
      nothingFoundMessage="Nobody has that name"
      onChange={set}
    />
  )
}

/** One of a few, each in words. */
export function ChoiceField({
  path,
  label,
  choices,
}: {
  path: Path
  label: string
  choices: { value: string; label: string }[]
}) {
  const { value, set, error } = useField<string>(path)
  const narrow = useMediaQuery('(max-width: 36em)')
  return (
    <Input.Wrapper label={label} error={error} labelElement="div">
      <div>
        <SegmentedControl
          aria-label={label}
          data={choices}
          value={value ?? ''}
          onChange={set}
          mt={4}
          orientation={narrow ? 'vertical' : 'horizontal'}
          fullWidth={narrow}
        />
      </div>
    </Input.Wrapper>
  )
}
