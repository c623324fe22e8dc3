import { useComputedColorScheme, useMantineColorScheme } from '@mantine/core'
import {
  IconCheck,
  IconCpu,
  IconEye,
  IconKey,
  IconLogout,
  IconMoon,
  IconPencil,
  IconPlugConnected,
  IconRefreshDot,
  IconSend,
  IconSun,
  IconUser,
} from '@tabler/icons-react'
import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { requestQuery } from '../../api/requests'
import { secretQuery } from '../../api/secrets'
import { asks, nameOf, type Request } from '../../parts/requestWords'
import { paths } from '../../paths'
import { leads } from '../../search'
import { signOut } from '../../session/signOut'
import { useMe, whyNot } from '../../session/who'
import { jump } from '../../ui/arrival'
import { sections } from '../sections'
import type { Choice } from './choices'
import type { Mode } from './modes'
import { recentlyVisited } from './recent'

/** useGoTo goes to an address of paths, and takes the focus along. */
export function useGoTo() {
  const navigate = useNavigate()
  return (address: string) => {
    jump()
    void navigate(leads(address))
  }
}

/** useSections are all pages; those that are not allowed say why. */
export function useSections(): Choice[] {
  const me = useMe()
  const go = useGoTo()
  return sections
    .flatMap((group) => group.items)
    .map(({ label, to, icon, permission, doing }) => ({
      id: `section ${to}`,
      label,
      icon,
      words: 'go to open page',
      blocked: permission && whyNot(me, permission, doing ?? ''),
      run: () => go(to),
    }))
}

/** useCommands are what can be done from anywhere. */
export function useCommands(become: (mode: Mode) => void): Choice[] {
  const me = useMe()
  const go = useGoTo()
  const { setColorScheme } = useMantineColorScheme()
  const other = useComputedColorScheme('light') === 'dark' ? 'light' : 'dark'
  const asksNext = (mode: Mode) => ({ stays: true, run: () => become(mode) })
  return [
    {
      id: 'ask',
      label: 'Ask for access to…',
      icon: IconEye,
      words: 'read request new secret reveal',
      blocked: whyNot(me, 'request.create', 'ask for secrets'),
      ...asksNext('ask'),
    },
    {
      id: 'change',
      label: 'Change…',
      icon: IconPencil,
      words: 'write patch rotate update request new secret',
      blocked: whyNot(me, 'request.create', 'ask for changes of secrets'),
      ...asksNext('change'),
    },
    {
      id: 'decide',
      label: 'Approve or deny…',
      icon: IconCheck,
      words: 'reject decide review inbox verdict',
      blocked: whyNot(me, 'request.approve', 'decide requests'),
      ...asksNext('decide'),
    },
    {
      id: 'scan',
      label: 'Scan connection…',
      icon: IconRefreshDot,
      words: 'discover inventory job start',
      blocked: whyNot(me, 'job.manage', 'start scans'),
      ...asksNext('scan'),
    },
    {
      id: 'invite-agent',
      label: 'Invite an agent',
      icon: IconCpu,
      words: 'enrol new add agents',
      blocked: whyNot(me, 'agent.manage', 'invite agents'),
      run: () => go(paths.agents()),
    },
    {
      id: 'look',
      label: `Switch to the ${other} look`,
      icon: other === 'dark' ? IconMoon : IconSun,
      words: 'theme appearance colour color scheme night day',
      run: () => setColorScheme(other),
    },
    {
      id: 'sign-out',
      label: 'Sign out',
      icon: IconLogout,
      words: 'log out leave end session',
      run: () => void signOut(),
    },
  ]
}

/** requestChoice is "Ana asks to read prod/db". */
export const requestChoice = (request: Request, run: () => void): Choice => ({
  id: `request ${request.id}`,
  label: `${nameOf(request.requester)} ${asks(request)} ${request.secret}`,
  description: request.reason,
  icon: IconSend,
  words: `${request.id} ${request.reason}`,
  run,
})

const kinds = {
  requests: { what: 'A request', icon: IconSend },
  inventory: { what: 'A secret', icon: IconKey },
  jobs: { what: 'A job', icon: IconRefreshDot },
  agents: { what: 'An agent', icon: IconCpu },
  people: { what: 'A person', icon: IconUser },
  connections: { what: 'The connection', icon: IconPlugConnected },
}

/** useRecent are the pages of one thing that somebody saw last, by what the cache still knows of them. */
export function useRecent(): Choice[] {
  const cache = useQueryClient()
  const go = useGoTo()
  const here = window.location.pathname
  return recentlyVisited()
    .filter(({ path }) => path !== here)
    .map(({ path, section, id }) => {
      const { what, icon } = kinds[section as keyof typeof kinds]
      const request = section === 'requests' ? cache.getQueryData(requestQuery(id).queryKey) : undefined
      const secret = section === 'inventory' ? cache.getQueryData(secretQuery(id).queryKey) : undefined
      const name = section === 'connections' ? id : `${id.slice(0, 8)}…`
      return {
        id: `recent ${path}`,
        icon,
        label: request
          ? `${nameOf(request.requester)} ${asks(request)} ${request.secret}`
          : (secret?.secret ?? `${what} ${name}`),
        run: () => go(path),
      }
    })
}
