import { Text, TextInput } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'
import { Link, useNavigate } from '@tanstack/react-router'
import { type KeyboardEvent, useDeferredValue, useEffect, useMemo, useRef, useState } from 'react'
import { paths } from '../../paths'
import { leads } from '../../search'
import classes from './ApiReference.module.css'
import type { Contract } from './contract'
import { find, grouped } from './find'
import { Method } from './Method'

/** All calls by what they are about. Arrow keys move, and Enter in the search opens the first that it finds. */
export function OperationList({ contract, current }: { contract: Contract; current: string }) {
  const navigate = useNavigate()
  const list = useRef<HTMLDivElement>(null)
  const groups = useRef<HTMLDivElement>(null)
  const [text, setText] = useState('')
  const wanted = useDeferredValue(text)
  const found = useMemo(() => find(contract.operations, wanted), [contract, wanted])
  useEffect(() => {
    const box = groups.current
    const at = box?.querySelector<HTMLElement>('[aria-current]')
    if (box && at) box.scrollTop = at.offsetTop - box.offsetTop - box.clientHeight / 2
  }, []) // where a link led to; later, one has clicked it there
  const move = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step === undefined) return
    const links = [...(list.current?.querySelectorAll<HTMLElement>('a') ?? [])]
    const at = links.indexOf(document.activeElement as HTMLElement)
    links[at < 0 ? 0 : Math.max(0, Math.min(links.length - 1, at + step))]?.focus()
    event.preventDefault()
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys are a shortcut between the links in it
    <div ref={list} className={classes.list} onKeyDown={move}>
      <TextInput
        aria-label="Find a call"
        placeholder="Find a call"
        leftSection={<IconSearch size={15} aria-hidden />}
        type="search"
        maxLength={100}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          const first = find(contract.operations, text)[0]
          if (event.key === 'Enter' && first) void navigate(leads(paths.api(first.id)))
        }}
      />
      <div ref={groups} className={classes.groups}>
        {found.length === 0 && (
          <Text c="dimmed" role="status">
            No call has these words.
          </Text>
        )}
        {grouped(found).map(([tag, operations]) => (
          <section key={tag} aria-label={tag}>
            <Text size="sm" fw={600} className={classes.tag}>
              {tag}
            </Text>
            <ul className={classes.calls}>
              {operations.map(({ id, method, summary }) => (
                <li key={id}>
                  <Link
                    {...leads(paths.api(id))}
                    className={classes.call}
                    aria-current={id === current ? 'page' : undefined}
                  >
                    <Method of={method} />
                    <span className={classes.summary}>{summary}</span>
                  </Link>
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
    </div>
  )
}
