import { Anchor, Button, Group } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconAdjustmentsHorizontal, IconSearch } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { facetsQuery } from '../../api/secrets'
import { many, one, useFilters } from '../../search'
import { Chosen } from './Chosen'
import classes from './Filters.module.css'
import { placeOf, shortestText } from './filters'
import { type Label, typedLabel, withLabel } from './labels'
import { type Part, SideFilters } from './SideFilters'
import { TextFilter } from './TextFilter'

interface Props {
  parts: Part[]
  /** Beside the search: a number, a download. */
  aside?: ReactNode
  children: ReactNode
}

/** The frame of a list of secrets: the search above it, the filters beside it. */
export function Frame({ parts, aside, children }: Props) {
  const [search, change] = useFilters()
  const [open, { toggle }] = useDisclosure()
  const text = one(search, 'text')
  const facets = useQuery(facetsQuery('', placeOf(search)))
  const labelOf = (typed: string) => typedLabel(typed, facets.data?.map(({ value }) => value) ?? [])
  const offered = labelOf(text)
  const narrow = (label: Label) => change({ label: withLabel(many(search, 'label'), label), text: undefined })
  return (
    <div className={classes.body}>
      <Button
        className={classes.unfold}
        variant="default"
        size="xs"
        leftSection={<IconAdjustmentsHorizontal size={15} />}
        onClick={toggle}
        aria-expanded={open}
      >
        Filters
      </Button>
      <div className={classes.side} data-folded={!open || undefined} role="group" aria-label="Filters">
        <SideFilters parts={parts} />
      </div>
      <div className={classes.list}>
        <Group gap="md" wrap="nowrap" align="flex-start">
          <TextFilter
            flex={1}
            aria-label="Search by path or label"
            placeholder="Search by path or the value of a label"
            leftSection={<IconSearch size={15} aria-hidden />}
            maxLength={256}
            value={text}
            change={(next) => change({ text: next }, { replace: true })}
            take={(typed) => {
              const label = labelOf(typed)
              if (label) narrow(label)
              return label !== undefined
            }}
            inputWrapperOrder={['input', 'description', 'error']}
            description={
              offered ? (
                <Anchor component="button" type="button" inherit onClick={() => narrow(offered)}>
                  Show those with the label {offered.name}: {offered.value}
                </Anchor>
              ) : (
                'For a label, type name:value and press Enter.'
              )
            }
            error={text !== '' && text.length < shortestText ? 'Three characters at least' : undefined}
          />
          {aside && (
            <Group gap="sm" mih={36} wrap="nowrap">
              {aside}
            </Group>
          )}
        </Group>
        <Chosen />
        {children}
      </div>
    </div>
  )
}
