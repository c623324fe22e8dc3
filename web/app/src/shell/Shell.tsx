import { ActionIcon, Burger, Button, Kbd, NavLink, Text, Tooltip, UnstyledButton } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconPlus, IconSearch } from '@tabler/icons-react'
import { Link, Outlet, useRouterState } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useState, useSyncExternalStore } from 'react'
import { paths } from '../paths'
import { stepUp } from '../session/stepUp'
import { useMe, whyNot } from '../session/who'
import { useGo, useKeys } from './keys'
import { LiveBadge } from './LiveBadge'
import { openPalette, Palette } from './Palette'
import { PersonMenu } from './PersonMenu'
import classes from './Shell.module.css'
import { type Section, sections } from './sections'

const KeySheet = lazy(() => import('./KeySheet').then((part) => ({ default: part.KeySheet })))
const StepUp = lazy(() => import('../session/StepUp').then((part) => ({ default: part.StepUp })))

/** The frame around all pages: where one is, what one can go to, and whether it is live. */
export function Shell() {
  const [opened, { toggle, close }] = useDisclosure()
  const at = useRouterState({ select: (state) => state.location.pathname })
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page closes the menu
  useEffect(() => close(), [at, close])
  return (
    <div className={classes.shell}>
      <a href="#main" className={classes.skip}>
        Skip to the content
      </a>
      <header className={classes.header}>
        <div className={classes.start}>
          <Burger
            opened={opened}
            onClick={toggle}
            hiddenFrom="sm"
            size="sm"
            aria-label={opened ? 'Close the menu' : 'Open the menu'}
            aria-expanded={opened}
            aria-controls="sections"
          />
          <Link to={paths.inbox()} className={classes.brand} aria-label="Secrets Bridge, to the inbox">
            <img src="/icon.svg" alt="" width={24} height={24} />
            <Text fw={600} visibleFrom="sm" span>
              Secrets Bridge
            </Text>
          </Link>
        </div>
        <UnstyledButton className={classes.search} onClick={openPalette} aria-keyshortcuts="Control+K Meta+K">
          <IconSearch size={15} aria-hidden />
          <span>Search or jump to…</span>
          <Kbd size="xs" visibleFrom="sm">
            Ctrl K
          </Kbd>
        </UnstyledButton>
        <div className={classes.end}>
          <LiveBadge />
          <NewRequestButton />
          <PersonMenu />
        </div>
      </header>
      <nav id="sections" aria-label="Sections" className={classes.navbar} data-opened={opened || undefined}>
        {sections.map((group) => (
          <div key={group.label} className={classes.group}>
            <Text size="xs" c="dimmed" fw={500} px="xs" pb={4} id={`nav-${group.label}`}>
              {group.label}
            </Text>
            <ul aria-labelledby={`nav-${group.label}`} className={classes.list}>
              {group.items.map((section) => (
                <li key={section.to}>
                  <SectionLink section={section} active={at === section.to || at.startsWith(`${section.to}/`)} />
                </li>
              ))}
            </ul>
          </div>
        ))}
      </nav>
      <main id="main" tabIndex={-1} className={classes.main}>
        <Outlet />
      </main>
      <Palette />
      <OverAll />
    </div>
  )
}

/** What any page may bring up: the sheet of keys, and the question for a second factor. */
function OverAll() {
  const [sheet, setSheet] = useState(false)
  const proving = useSyncExternalStore(stepUp.subscribe, stepUp.open)
  useGo()
  useKeys('Everywhere', [
    { keys: ['Ctrl K'], does: 'Search or jump', run: () => false }, // the palette listens for it, in fields too
    { keys: ['?'], does: 'Show these keys', run: () => setSheet(true) },
  ])
  return (
    <Suspense>
      {sheet && <KeySheet close={() => setSheet(false)} />}
      {proving && <StepUp />}
    </Suspense>
  )
}

function SectionLink({ section, active }: { section: Section; active: boolean }) {
  const me = useMe()
  const reason = section.permission && whyNot(me, section.permission, section.doing ?? '')
  const Icon = section.icon
  const link = (
    <NavLink
      component={Link}
      to={section.to}
      label={section.label}
      leftSection={<Icon size={17} stroke={1.7} aria-hidden />}
      active={active}
      aria-current={active ? 'page' : undefined}
      data-quiet={reason ? true : undefined}
      className={classes.link}
    />
  )
  return reason ? (
    <Tooltip label={reason} position="right">
      {link}
    </Tooltip>
  ) : (
    link
  )
}

function NewRequestButton() {
  const reason = whyNot(useMe(), 'request.create', 'ask for secrets')
  if (reason) {
    return (
      <Tooltip label={reason}>
        <Button
          size="xs"
          variant="default"
          data-disabled
          aria-disabled
          leftSection={<IconPlus size={15} />}
          visibleFrom="xs"
          aria-description={reason}
        >
          New request
        </Button>
      </Tooltip>
    )
  }
  return (
    <>
      <Button component={Link} to={paths.newRequest()} size="xs" leftSection={<IconPlus size={15} />} visibleFrom="xs">
        New request
      </Button>
      <ActionIcon component={Link} to={paths.newRequest()} hiddenFrom="xs" size="md" aria-label="New request">
        <IconPlus size={17} />
      </ActionIcon>
    </>
  )
}
